/** What went otherwise than hoped during a load. */
import type { LoadNotice } from 'floe';
import { el } from './dom.ts';

export function notices(list: readonly LoadNotice[]): HTMLLIElement[] {
  return list.map(({ kind, message }) => el('li', { testid: `notice-${kind}` }, message));
}
