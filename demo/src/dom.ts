/** The little of the DOM the page needs: typed lookups, and elements made of text, never of markup. */

/** The element with this id, which index.html has. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}`);
  return found;
}

interface Attributes {
  readonly class?: string;
  readonly testid?: string;
  readonly title?: string;
  readonly role?: string;
  readonly onclick?: () => void;
}

/** An element with its children; strings become text. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (attributes.class) made.className = attributes.class;
  if (attributes.testid) made.dataset.testid = attributes.testid;
  if (attributes.title) made.title = attributes.title;
  if (attributes.role) made.setAttribute('role', attributes.role);
  if (attributes.onclick) made.addEventListener('click', attributes.onclick);
  made.append(...children);
  return made;
}

/** A button that does one thing; `type` is 'button', so that it sends no form. */
export function button(label: string, attributes: Attributes & { readonly onclick: () => void }): HTMLButtonElement {
  const made = el('button', attributes, label);
  made.type = 'button';
  return made;
}
