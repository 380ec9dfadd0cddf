/** What was loaded, from where, onto what, and where the memory went. */
import type { MemoryReport, ModelInfo, StoredProgress } from 'floe';
import { button, byId, el } from './dom.ts';
import { bytes, count } from './format.ts';
import { notices } from './notices.ts';
import type { Session } from './session.ts';
import { loaded } from './state.ts';

/** Where the weights came from, what of them is still to come, and whether the next visit finds them here. */
export function loadedFrom(
  { loadedFrom: from, notices: said }: Pick<ModelInfo, 'loadedFrom' | 'notices'>,
  memory: Pick<MemoryReport, 'storedBytes'> | null,
  arriving: StoredProgress | null,
): string {
  if (arriving && arriving.storedBytes < arriving.totalBytes) {
    const where = from === 'store' ? 'this browser’s storage' : 'the network';
    return `${where}; ${bytes(arriving.storedBytes)} of ${bytes(arriving.totalBytes)} are here, the rest comes while it answers`;
  }
  if (from === 'store') return 'this browser’s storage';
  if (from === 'local') return 'a file on this device, read in place';
  const kept = (arriving ?? memory)?.storedBytes && !said.some(({ kind }) => kind === 'not-stored');
  return kept ? 'the network, and kept for the next visit' : 'the network, and not kept';
}

export function installModelFacts(session: Session): void {
  const panel = byId('loaded', HTMLElement);
  const from = el('dd', { testid: 'loaded-from' });
  const sizes = el('p', { class: 'hint' });
  // Said in place: while the rest comes nothing else moves.
  const say = (): void => {
    const now = loaded(session.store.current);
    if (!now) return;
    from.textContent = loadedFrom(now.model.info, now.memory, session.arriving.latest);
    sizes.textContent = now.memory ? inStorage(now.memory, session.arriving.latest) : '';
  };
  session.arriving.subscribe(say);
  session.store.subscribe((state, before) => {
    const now = loaded(state);
    panel.hidden = now === null && state.kind !== 'unloading';
    if (!now) {
      panel.replaceChildren(...(state.kind === 'unloading' ? [leaving(session.label)] : []));
      return;
    }
    const then = loaded(before);
    if (then?.model === now.model && then.memory === now.memory) return;
    panel.replaceChildren(
      ...facts(now.model.info, from),
      ...(now.memory ? [memoryBars(now.memory, now.model.info, sizes)] : []),
    );
    say();
    panel.append(button('Unload', { testid: 'unload', onclick: () => void session.unload() }));
  });
}

function leaving(name: string): HTMLElement {
  return el('p', { class: 'loading-name', testid: 'unloading' }, `Unloading ${name}: the GPU gets its memory back`);
}

function facts(info: ModelInfo, from: HTMLElement): HTMLElement[] {
  const { adapter } = info;
  const rows: (readonly [term: string, testid: string, what: string])[] = [
    [
      'Architecture',
      'architecture',
      `${info.architecture}, ${info.nLayers} layers, ${count(info.nParameters)} parameters`,
    ],
    ['Experts', 'experts', info.nExperts > 0 ? `top-${info.nExpertsUsed} of ${info.nExperts}` : 'none: a dense model'],
    ['File', 'file', `${info.quantization}, ${bytes(info.fileBytes)}`],
    ['Context', 'context', `${count(info.contextLength)} of ${count(info.nCtxTrain)} tokens`],
  ];
  const list = el('dl', { class: 'facts', testid: 'model-facts' });
  const row = (term: string, what: HTMLElement): void => list.append(el('div', {}, el('dt', {}, term), what));
  for (const [term, testid, what] of rows) row(term, el('dd', { testid }, what));
  row('Loaded from', from);
  const marks = adapter.software ? [softwareMark()] : [];
  row('Adapter', el('dd', { testid: 'adapter' }, adapter.description, ...marks));
  const said = notices(info.notices);
  return [
    el('h3', { testid: 'model-name' }, info.name),
    list,
    ...(said.length > 0 ? [el('ul', { class: 'notices', testid: 'notices' }, ...said)] : []),
  ];
}

function softwareMark(): HTMLElement {
  return el(
    'span',
    {
      class: 'mark',
      testid: 'software-adapter',
      title: 'WebGPU found no graphics card: the processor stands in, many times slower.',
    },
    'software',
  );
}

const PURPOSES: Record<string, string> = {
  weights: 'dense weights',
  experts: 'experts',
  adapters: 'adapters',
  kv: 'key-value cache',
  activations: 'activations',
  other: 'other',
};

function inStorage({ fileTensorBytes, storedBytes }: MemoryReport, arriving: StoredProgress | null): string {
  const parts = [`Tensors in the file: ${bytes(fileTensorBytes)}`];
  const keptBytes = arriving?.storedBytes ?? storedBytes;
  if (keptBytes > 0) parts.push(`kept in this browser: ${bytes(keptBytes)}`);
  return `${parts.join(', ')}.`;
}

function memoryBars({ gpuBytes }: MemoryReport, { nExperts }: ModelInfo, sizes: HTMLElement): HTMLElement {
  const shares = Object.entries(gpuBytes)
    .filter(([, size]) => size > 0)
    .sort((a, b) => b[1] - a[1]);
  const total = shares.reduce((sum, [, size]) => sum + size, 0);
  const list = el('ul', { class: 'bars' });
  for (const [purpose, size] of shares) {
    const bar = el('span', { class: `bar ${purpose}` });
    bar.style.width = `${Math.max(0.5, (100 * size) / shares[0]![1])}%`;
    list.append(
      el(
        'li',
        {},
        el('span', { class: 'bar-name' }, PURPOSES[purpose] ?? purpose),
        el('span', { class: 'track' }, bar),
        el('span', { class: 'bar-size' }, bytes(size)),
      ),
    );
  }
  const section = el(
    'details',
    { class: 'memory', testid: 'memory' },
    el('summary', {}, 'Where the memory went ', el('small', { testid: 'gpu-bytes' }, `${bytes(total)} on the GPU`)),
    list,
    sizes,
  );
  // What comes next stays in sight: the experts, and on a phone the conversation.
  section.open = nExperts === 0 && matchMedia('(min-width: 861px)').matches;
  return section;
}
