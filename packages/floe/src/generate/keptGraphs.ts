/** Recorded graphs by name: each is recorded and compiled when it is first wanted, and kept. */
import { type BufferView, type Device, type Graph, Recorder } from '../gpu/index.ts';

/** Graphs kept of a kind of which there are many; one that is no longer kept is recorded again when it comes. */
const KEPT_GRAPHS = 8;

export class KeptGraphs {
  private readonly kept = new Map<string, Promise<{ readonly graph: Graph }>>();

  constructor(
    private readonly device: Device,
    private readonly fault: BufferView,
    /** Beginnings of names of which there are many; the others stay for good. */
    private readonly kinds: readonly string[],
  ) {}

  /** The graph of that name, and what `record` made of it. */
  get<T extends object>(name: string, record: (rec: Recorder) => T): Promise<T & { readonly graph: Graph }> {
    const kept = this.kept.get(name) as Promise<T & { readonly graph: Graph }> | undefined;
    const program = kept ?? this.record(name, record);
    // Last used, last in the map.
    this.kept.delete(name);
    this.kept.set(name, program);
    this.dropOldest();
    return program;
  }

  /** Waits for what is still being compiled, and gives everything back: what is wanted from now on is recorded again. */
  async forget(): Promise<void> {
    const programs = [...this.kept.values()];
    this.kept.clear();
    for (const program of await Promise.allSettled(programs))
      if (program.status === 'fulfilled') program.value.graph.destroy();
  }

  private record<T extends object>(name: string, record: (rec: Recorder) => T): Promise<T & { readonly graph: Graph }> {
    const rec = new Recorder(this.device, this.fault);
    const made = record(rec);
    const program = rec.finish(name).then((graph) => ({ ...made, graph }));
    // One that failed is not kept: the next call tries again.
    program.catch(() => {
      if (this.kept.get(name) === program) this.kept.delete(name);
    });
    return program;
  }

  /** Of each kind, the graph that was not used for longest. */
  private dropOldest(): void {
    for (const kind of this.kinds) {
      const ofKind = [...this.kept].filter(([name]) => name.startsWith(kind));
      if (ofKind.length <= KEPT_GRAPHS) continue;
      const [name, program] = ofKind[0]!;
      this.kept.delete(name);
      program.then(({ graph }) => graph.destroy()).catch(() => {});
    }
  }
}
