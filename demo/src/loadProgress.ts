/** How far a load is, in numbers. */
import type { LoadProgress } from 'floe';
import { byId, el } from './dom.ts';
import { bytes } from './format.ts';
import { notices } from './notices.ts';
import type { Session } from './session.ts';
import type { Loading } from './state.ts';

const PHASES: readonly { readonly phase: LoadProgress['phase']; readonly short: string; readonly says: string }[] = [
  { phase: 'inspect', short: 'Inspect', says: 'Reading the header' },
  { phase: 'download', short: 'Download', says: 'Downloading' },
  { phase: 'verify', short: 'Verify', says: 'Checking what is stored' },
  { phase: 'upload', short: 'Upload', says: 'Writing weights to the GPU' },
  { phase: 'compile', short: 'Compile', says: 'Compiling kernels' },
];

export function installLoadProgress(session: Session): void {
  const panel = byId('progress', HTMLElement);
  const name = byId('loading-name', HTMLElement);
  const bar = byId('progress-bar', HTMLProgressElement);
  const phaseText = byId('progress-phase', HTMLElement);
  const numbers = byId('progress-numbers', HTMLElement);
  const noticeList = byId('loading-notices', HTMLElement);
  const steps = PHASES.map(({ short }) => el('li', {}, short));
  byId('phases', HTMLElement).replaceChildren(...steps);
  byId('cancel-load', HTMLButtonElement).addEventListener('click', () => session.cancelLoad());

  const draw = ({ progress, bytesPerSecond }: Loading): void => {
    const at = PHASES.findIndex(({ phase }) => phase === progress?.phase);
    steps.forEach((step, i) => {
      step.className = i < at ? 'done' : i === at ? 'now' : '';
    });
    phaseText.textContent = PHASES[at]?.says ?? 'Starting';
    numbers.textContent = progress ? inNumbers(progress, bytesPerSecond) : '';
    noticeList.replaceChildren(...notices(progress?.notices ?? []));
    if (progress && progress.total > 0) {
      bar.max = progress.total;
      bar.value = Math.min(progress.loaded, progress.total);
    } else {
      bar.removeAttribute('value');
    }
  };
  let scheduled = false;
  const drawNow = (): void => {
    scheduled = false;
    const state = session.store.current;
    if (state.kind === 'loading') draw(state);
  };
  session.store.subscribe((state, before) => {
    panel.hidden = state.kind !== 'loading';
    if (state.kind !== 'loading') {
      // From here on the model's own list tells of them.
      noticeList.replaceChildren();
      return;
    }
    if (before.kind !== 'loading') {
      // A new load starts with nothing of the last one in sight.
      name.textContent = `Loading ${session.label}`;
      draw(state);
    }
    // Drawn once a frame, however often the library reports.
    if (!scheduled) requestAnimationFrame(drawNow);
    scheduled = true;
  });
}

/** '9.44 MB of 16.8 MB, 56%, 12.1 MB/s'; kernels are counted one by one. */
function inNumbers({ phase, loaded, total }: LoadProgress, bytesPerSecond: number): string {
  if (phase === 'compile') return total > 0 ? `${loaded} of ${total} kernels` : '';
  const parts = [total > 0 ? `${bytes(loaded)} of ${bytes(total)}` : bytes(loaded)];
  if (total > 0) parts.push(`${Math.floor((100 * loaded) / total)}%`);
  if (bytesPerSecond > 0) parts.push(`${bytes(bytesPerSecond)}/s`);
  return parts.join(', ');
}
