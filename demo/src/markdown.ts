/**
 * A model's words as a document. They are untrusted: marked makes HTML of them, DOMPurify keeps only harmless
 * elements. No pictures at all, since the address of one can carry the chat away without a script.
 */
import createDOMPurify from 'dompurify';
import { Marked } from 'marked';
import { codeBlock } from './codeBlock.ts';
import { el } from './dom.ts';

const ALLOWED_TAGS =
  'p br hr strong em del code pre blockquote ul ol li table thead tbody tr th td h1 h2 h3 h4 h5 h6 a'.split(' ');
const marked = new Marked({ gfm: true, breaks: true });
const purify = createDOMPurify(window);

export function markdown(text: string): DocumentFragment {
  const html = marked.parse(text, { async: false });
  const fragment = purify.sanitize(html, {
    RETURN_DOM_FRAGMENT: true,
    ALLOWED_TAGS,
    ALLOWED_ATTR: ['href', 'start', 'align'],
    ALLOWED_URI_REGEXP: /^https?:/i,
  });
  for (const link of fragment.querySelectorAll('a')) showWhereTo(link);
  for (const pre of fragment.querySelectorAll('pre')) pre.replaceWith(codeBlock(pre.textContent.trimEnd()));
  return fragment;
}

/** A link says which host it leads to, and tells that host nothing. */
function showWhereTo(link: HTMLAnchorElement): void {
  const href = link.getAttribute('href');
  if (!href) {
    link.replaceWith(...link.childNodes);
    return;
  }
  link.target = '_blank';
  link.rel = 'noopener noreferrer';
  link.after(el('small', { class: 'host' }, ` (${link.hostname})`));
}
