/** What the page is doing. Every view draws from it; `session.ts` alone changes it. */
import type { LoadProgress, MemoryReport, Model } from 'floe';
import type { ShownError } from './errors.ts';
import type { ModelSource } from './models.ts';

export interface Loading {
  readonly kind: 'loading';
  readonly source: ModelSource;
  /** Null until the library first reports. */
  readonly progress: LoadProgress | null;
  /** Of the last seconds; 0 until it is known. */
  readonly bytesPerSecond: number;
}

export interface Loaded {
  readonly kind: 'ready' | 'answering';
  readonly source: ModelSource;
  readonly model: Model;
  readonly memory: MemoryReport | null;
}

/** From the wish to be rid of a model until the GPU has its memory back. */
export interface Unloading {
  readonly kind: 'unloading';
  readonly source: ModelSource;
}

export interface Failed {
  readonly kind: 'error';
  readonly source: ModelSource;
  readonly error: ShownError;
}

export type State = { readonly kind: 'idle' } | Loading | Loaded | Unloading | Failed;

type Listener = (state: State, before: State) => void;

/** The current state and those who draw it. */
export class Store {
  #current: State = { kind: 'idle' };
  readonly #listeners: Listener[] = [];

  get current(): State {
    return this.#current;
  }

  set(state: State): void {
    const before = this.#current;
    this.#current = state;
    document.documentElement.dataset.floe = state.kind;
    for (const listener of this.#listeners) listener(state, before);
  }

  /** Calls the listener now and after every change. */
  subscribe(listener: Listener): void {
    this.#listeners.push(listener);
    listener(this.#current, this.#current);
  }
}

/**
 * Calls the listener when another model is loaded. One that was loaded again from the same source, within another
 * budget or after an error, is the same.
 */
export function onOtherModel(store: Store, listener: (now: Loaded) => void): void {
  let source: ModelSource | null = null;
  store.subscribe((state) => {
    const now = loaded(state);
    if (!now || now.source === source) return;
    source = now.source;
    listener(now);
  });
}

/** The loaded model's state, or null. */
export function loaded(state: State): Loaded | null {
  return state.kind === 'ready' || state.kind === 'answering' ? state : null;
}
