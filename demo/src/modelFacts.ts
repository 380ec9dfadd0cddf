/** What was loaded, from where, onto what, and where the memory went. */
import type { MemoryReport, ModelInfo } from 'floe';
import { button, byId, el } from './dom.ts';
import { bytes, count } from './format.ts';
import { notices } from './notices.ts';
import type { Session } from './session.ts';
import { loaded } from './state.ts';

/** Where the weights came from, and whether the next visit finds them here. */
export function loadedFrom(
  { loadedFrom: from, notices: said }: Pick<ModelInfo, 'loadedFrom' | 'notices'>,
  memory: Pick<MemoryReport, 'storedBytes'> | null,
): string {
  if (from === 'store') return 'this browser’s storage';
  if (from === 'local') return 'a file on this device, read in place';
  const kept = memory !== null && memory.storedBytes > 0 && !said.some(({ kind }) => kind === 'not-stored');
  return kept ? 'the network, and kept for the next visit' : 'the network, and not kept';
}

export function installModelFacts(session: Session): void {
  const panel = byId('loaded', HTMLElement);
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
      ...facts(now.model.info, now.memory),
      ...(now.memory ? [memoryBars(now.memory, now.model.info)] : []),
    );
    panel.append(button('Unload', { testid: 'unload', onclick: () => void session.unload() }));
  });
}

function leaving(name: string): HTMLElement {
  return el('p', { class: 'loading-name', testid: 'unloading' }, `Unloading ${name}: the GPU gets its memory back`);
}

function facts(info: ModelInfo, memory: MemoryReport | null): HTMLElement[] {
  const { adapter } = info;
  const rows: (readonly [term: string, testid: string, ...what: (string | Node)[]])[] = [
    [
      'Architecture',
      'architecture',
      `${info.architecture}, ${info.nLayers} layers, ${count(info.nParameters)} parameters`,
    ],
    ['Experts', 'experts', info.nExperts > 0 ? `top-${info.nExpertsUsed} of ${info.nExperts}` : 'none: a dense model'],
    ['File', 'file', `${info.quantization}, ${bytes(info.fileBytes)}`],
    ['Context', 'context', `${count(info.contextLength)} of ${count(info.nCtxTrain)} tokens`],
    ['Loaded from', 'loaded-from', loadedFrom(info, memory)],
    ['Adapter', 'adapter', adapter.description, ...(adapter.software ? [softwareMark()] : [])],
  ];
  const list = el('dl', { class: 'facts', testid: 'model-facts' });
  for (const [term, testid, ...what] of rows)
    list.append(el('div', {}, el('dt', {}, term), el('dd', { testid }, ...what)));
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
  kv: 'key-value cache',
  activations: 'activations',
  other: 'other',
};

function memoryBars({ gpuBytes, fileTensorBytes, storedBytes }: MemoryReport, { nExperts }: ModelInfo): HTMLElement {
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
  const rest = [`Tensors in the file: ${bytes(fileTensorBytes)}`];
  if (storedBytes > 0) rest.push(`kept in this browser: ${bytes(storedBytes)}`);
  const section = el(
    'details',
    { class: 'memory', testid: 'memory' },
    el('summary', {}, 'Where the memory went ', el('small', { testid: 'gpu-bytes' }, `${bytes(total)} on the GPU`)),
    list,
    el('p', { class: 'hint' }, `${rest.join(', ')}.`),
  );
  // What comes next stays in sight: the experts, and on a phone the conversation.
  section.open = nExperts === 0 && matchMedia('(min-width: 861px)').matches;
  return section;
}
