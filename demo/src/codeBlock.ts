/** A block of code with a copy button; SQL is coloured, and names the schema lacks are marked. */
import { button, el } from './dom.ts';
import { isSql, pieces } from './sql.ts';

const COPIED_MS = 1500;

export function codeBlock(code: string, unknown: readonly string[] = []): HTMLElement {
  const copy = button('Copy', {
    class: 'copy',
    testid: 'copy',
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(code);
        copy.textContent = 'Copied';
      } catch {
        copy.textContent = 'Not allowed';
      }
      setTimeout(() => {
        copy.textContent = 'Copy';
      }, COPIED_MS);
    },
  });
  const text = el('code', { testid: 'answer-code' }, ...(isSql(code) ? coloured(code, unknown) : [code]));
  return el('div', { class: 'code-block' }, el('pre', {}, text), copy);
}

function coloured(sql: string, unknown: readonly string[]): (Node | string)[] {
  return pieces(sql).map(({ kind, text }) => {
    if (kind === 'other') return text;
    const isUnknown = kind === 'name' && unknown.includes(text.toLowerCase());
    return el('span', { class: isUnknown ? 'name unknown' : kind }, text);
  });
}
