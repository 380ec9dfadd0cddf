/** Which model: the bundled one, an address, or a file from this device. */
import { button, byId, el } from './dom.ts';
import { errorBox } from './errors.ts';
import { type ModelSource, sourceOf } from './models.ts';
import type { Session } from './session.ts';

export interface ModelPicker {
  /** Asks whether to load what a link names, which its reader didn't choose; resolves once that was loaded. */
  offer(source: ModelSource & { readonly kind: 'url' }): Promise<void>;
}

export function installModelPicker(session: Session): ModelPicker {
  const picker = byId('picker', HTMLElement);
  const failure = byId('load-error', HTMLElement);
  const offered = byId('offer', HTMLElement);
  const address = byId('model-url', HTMLInputElement);
  const file = byId('model-file', HTMLInputElement);

  byId('load-bundled', HTMLButtonElement).addEventListener('click', () => session.load({ kind: 'bundled' }));
  byId('url-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    void session.load(sourceOf(address.value.trim()));
  });
  file.addEventListener('change', () => {
    const chosen = file.files?.[0];
    // Emptied, so that choosing the same file again is a change too.
    file.value = '';
    if (chosen) void session.load({ kind: 'file', file: chosen });
  });
  installDrop(byId('drop', HTMLElement), (dropped) => session.load({ kind: 'file', file: dropped }));

  session.store.subscribe((state) => {
    picker.hidden = state.kind !== 'idle' && state.kind !== 'error';
    failure.replaceChildren();
    if (state.kind === 'loading') offered.replaceChildren();
    if (state.kind !== 'error') return;
    failure.append(errorBox(state.error, () => session.load(state.source)));
    // What was tried stays in sight, so that it can be corrected.
    if (state.source.kind !== 'bundled') byId('other-models', HTMLDetailsElement).open = true;
    if (state.source.kind === 'url') address.value = state.source.url;
  });

  return {
    offer: (source) =>
      new Promise((resolve) => {
        address.value = source.url;
        byId('other-models', HTMLDetailsElement).open = true;
        const load = button('Load it', {
          class: 'primary',
          testid: 'load-offered',
          onclick: () => void session.load(source).then(resolve),
        });
        offered.replaceChildren(
          el('p', {}, 'The link you followed names a model of another site: ', el('code', {}, source.url)),
          el('p', {}, 'It is fetched from there, and kept in this browser, only if you say so.'),
          load,
        );
      }),
  };
}

/** A file may be dropped anywhere on the page; the zone shows that it may. */
function installDrop(zone: HTMLElement, onFile: (file: File) => void): void {
  const holdsFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
  document.addEventListener('dragover', (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    zone.classList.add('over');
    zone.closest('details')!.open = true;
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) zone.classList.remove('over');
  });
  document.addEventListener('drop', (event) => {
    zone.classList.remove('over');
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    onFile(file);
  });
}
