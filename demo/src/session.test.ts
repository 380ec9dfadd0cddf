/** What the page does where the library fails, or is told to stop between two steps. */
import { GpuError, loadModel, type Model, WorkerError } from 'floe';
import { beforeEach, expect, it, vi } from 'vitest';

vi.mock('floe', async (original) => ({ ...(await original<typeof import('floe')>()), loadModel: vi.fn() }));
// The page, as far as the session needs one.
vi.stubGlobal('document', { baseURI: 'http://localhost/', documentElement: { dataset: {} } });
const { Session } = await import('./session.ts');
const { onOtherModel, Store } = await import('./state.ts');

const report = { gpuBytes: {}, fileTensorBytes: 1, storedBytes: 1 };
const question = { messages: [{ role: 'user', content: 'Who are you?' }], temperature: 0 } as const;
let model: {
  memory: () => Promise<unknown>;
  experts: () => Promise<unknown>;
  unload: () => Promise<void>;
  answer: () => AsyncIterable<never>;
};
let session: InstanceType<typeof Session>;
let kinds: string[];

beforeEach(() => {
  model = {
    memory: async () => report,
    experts: async () => null,
    unload: vi.fn(async () => {}),
    answer: async function* () {},
  };
  const chat = { completions: { create: () => model.answer() } };
  const conversations = { list: async () => [] };
  vi.mocked(loadModel).mockImplementation(
    async () =>
      ({
        info: { hasChatTemplate: true, context: { window: 4096 } },
        chat,
        conversations,
        ...model,
      }) as unknown as Model,
  );
  const store = new Store();
  session = new Session(store, null);
  kinds = [];
  store.subscribe(({ kind }) => kinds.push(kind));
});

const shownCode = (): unknown => {
  const state = session.store.current;
  return state.kind === 'error' ? state.error.code : state.kind;
};

it('gives a model back that was loaded but fails at its first report', async () => {
  model.memory = async () => {
    throw new GpuError('gpu/lost', 'The device is gone.', { remedy: 'Load again.' });
  };
  await session.load({ kind: 'bundled' });
  expect(shownCode()).toBe('gpu/lost');
  expect(model.unload).toHaveBeenCalledOnce();
});

it('can be stopped while it waits for the first report', async () => {
  model.memory = () => new Promise(() => {});
  const load = session.load({ kind: 'bundled' });
  await vi.waitFor(() => expect(loadModel).toHaveBeenCalled());
  session.cancelLoad();
  await load;
  expect(kinds).toEqual(['idle', 'loading', 'idle']);
  expect(model.unload).toHaveBeenCalledOnce();
});

it('is unloading until the memory is given back', async () => {
  let givenBack = () => {};
  model.unload = () =>
    new Promise((resolve) => {
      givenBack = resolve;
    });
  await session.load({ kind: 'bundled' });
  const unload = session.unload();
  expect(shownCode()).toBe('unloading');
  givenBack();
  await unload;
  expect(shownCode()).toBe('idle');
});

it('shows why a model could not be unloaded', async () => {
  model.unload = async () => {
    throw new WorkerError('worker/died', 'It is gone.', { remedy: 'Load again.' });
  };
  await session.load({ kind: 'bundled' });
  await session.unload();
  expect(shownCode()).toBe('worker/died');
});

it.each([
  new GpuError('gpu/out-of-memory', 'Full.', { remedy: 'Take a smaller model.' }),
  new GpuError('gpu/lost', 'The device is gone.', { remedy: 'Load again.' }),
  new WorkerError('worker/died', 'It is gone.', { remedy: 'Load again.' }),
])('$code ends the model, and the page offers to load again', async (error) => {
  // biome-ignore lint/correctness/useYield: it fails before its first word.
  model.answer = async function* () {
    throw error;
  };
  await session.load({ kind: 'bundled' });
  await expect(session.ask(question, () => {})).rejects.toBe(error);
  expect(session.store.current).toMatchObject({ kind: 'error', error: { code: error.code, retryable: true } });
  expect(model.unload).toHaveBeenCalledOnce();
});

it('keeps a notice in sight that came with an earlier report', async () => {
  const notice = { kind: 'no-ranges', message: 'The server sends whole files only.' } as const;
  const step = { phase: 'download', file: 'model.gguf', loaded: 1, total: 2 } as const;
  const seen: unknown[] = [];
  session.store.subscribe((state) => {
    if (state.kind === 'loading' && state.progress) seen.push(state.progress.notices);
  });
  vi.mocked(loadModel).mockImplementation(async (_source, options) => {
    options?.onProgress?.({ ...step, notices: [notice] });
    options?.onProgress?.({ ...step, phase: 'upload', notices: [] });
    return { info: {}, ...model } as unknown as Model;
  });
  await session.load({ kind: 'bundled' });
  expect(seen).toEqual([[notice], [notice]]);
});

it('loads the model again within another budget, and it stays the same model to those who listen for another', async () => {
  const source = { kind: 'bundled' } as const;
  const others: unknown[] = [];
  onOtherModel(session.store, (now) => others.push(now.source));
  await session.load(source);
  await session.loadWithin('25%');
  expect(kinds).toEqual(['idle', 'loading', 'ready', 'unloading', 'loading', 'ready']);
  expect(model.unload).toHaveBeenCalledOnce();
  expect(vi.mocked(loadModel).mock.lastCall?.[1]?.budget).toEqual({ gpuBytes: '25%' });
  expect(others).toEqual([source]);
  // Chosen anew it is another, with a conversation of its own.
  await session.unload();
  await session.load({ kind: 'bundled' });
  expect(others).toHaveLength(2);
});

it('loads nothing within another budget where the model could not be given back', async () => {
  model.unload = async () => {
    throw new WorkerError('worker/died', 'It is gone.', { remedy: 'Load again.' });
  };
  await session.load({ kind: 'bundled' });
  await session.loadWithin('min');
  expect(shownCode()).toBe('worker/died');
  expect(kinds.filter((kind) => kind === 'loading')).toHaveLength(1);
});
