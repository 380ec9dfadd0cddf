/**
 * Whose turn it is on the device. Conversations that decode share their steps; a prompt goes in units, and between two of
 * them each of those who decode has a step (Agrawal et al. 2024: chunked prefill that does not stall decoding). Knows no GPU.
 *
 *  1. Between two steps of a conversation at most one unit of another's prompt runs, as long as it asks in time.
 *  2. A step holds each conversation at most once, and at most `mostRows` of them, who asked first first.
 *  3. Prompts go one after another, in the order in which they came.
 *  4. What fails, fails for those whose turn it was; the next goes on.
 *  5. While a prompt waits for bytes, steps go on by themselves.
 *  6. Who decodes and does not ask, as its reader does not read, is waited for once, and again when it has asked.
 */
import { turnOrAborted } from '../errors/index.ts';

/** A step under way. */
export interface StartedStep<Result> {
  /** Of each row, as soon as the step is submitted. */
  readonly results: readonly Result[];
  /** Settles when the device has done it; asked only where somebody waits for that. */
  readonly done: () => Promise<unknown>;
}

export interface SchedulerOptions<Row, Result> {
  /** Conversations in a step at the most, now. */
  readonly mostRows: () => number;
  /** Runs one step of all these conversations. */
  readonly runStep: (rows: readonly Row[]) => Promise<StartedStep<Result>>;
  /** Resolves behind the messages and tasks that wait now, so that whoever was answered has had its say. */
  readonly turn: () => Promise<void>;
}

/** What a prompt does around its units. */
export interface PromptTurns {
  /** Before each unit. */
  readonly between: () => Promise<void>;
  /** Around a wait that needs no device. */
  readonly aside: <T>(wait: Promise<T>) => Promise<T>;
}

/** One who decodes. */
export interface Member {
  /** Whether others wait for it. */
  isAwaited: boolean;
}

interface Ask<Row, Result> {
  readonly row: Row;
  readonly member: Member | null;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class Scheduler<Row, Result> {
  private readonly asked: Ask<Row, Result>[] = [];
  private readonly members = new Set<Member>();
  /** The last step submitted. */
  private last: () => Promise<unknown> = async () => {};
  private stepping: Promise<void> | null = null;
  private prompts: Promise<void> = Promise.resolve();
  /** Prompts that let nothing run but between their units. */
  private nPrompts = 0;

  constructor(private readonly options: SchedulerOptions<Row, Result>) {}

  /** One more who decodes, until it leaves: steps wait a turn for it. */
  enter(): Member {
    const member = { isAwaited: true };
    this.members.add(member);
    return member;
  }

  leave(member: Member): void {
    this.members.delete(member);
  }

  /** A step of one conversation, together with those of others who ask by then; resolves once it is submitted. */
  step(row: Row, member: Member | null = null): Promise<Result> {
    if (member) member.isAwaited = true;
    return new Promise((resolve, reject) => {
      this.asked.push({ row, member, resolve, reject });
      this.goOn();
    });
  }

  /** Runs a prompt when its turn has come; one whose signal fires before never runs. */
  async prompt<T>(run: (turns: PromptTurns) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.prompts;
    let end = () => {};
    this.prompts = new Promise((resolve) => {
      end = resolve;
    });
    await turnOrAborted(before, end, signal);
    this.nPrompts++;
    try {
      await this.stepping;
      return await run({ between: () => this.between(), aside: (wait) => this.aside(wait) });
    } finally {
      this.nPrompts--;
      end();
      this.goOn();
    }
  }

  /** Resolves when nothing runs and nobody waits. */
  async idle(): Promise<void> {
    await this.prompts;
    await this.stepping;
    await this.last().catch(() => {});
  }

  private async between(): Promise<void> {
    await this.stepping;
    if (this.nAwaited === 0 && this.asked.length === 0) return;
    // All of them, in as many steps as that takes: who had to come back after the next unit would wait for two.
    await this.others(() => this.nAwaited);
    for (let nLeft = this.asked.length; nLeft > 0; ) nLeft -= await this.runOnce();
  }

  private async aside<T>(wait: Promise<T>): Promise<T> {
    this.nPrompts--;
    this.goOn();
    try {
      return await wait;
    } finally {
      // Not behind the step that runs now: it may want the slots that this prompt holds.
      this.nPrompts++;
    }
  }

  /** Steps by themselves, while no prompt runs: that one makes room for them. */
  private goOn(): void {
    if (this.stepping || this.nPrompts > 0 || this.asked.length === 0) return;
    this.stepping = this.runAll().finally(() => {
      this.stepping = null;
      this.goOn();
    });
  }

  private async runAll(): Promise<void> {
    while (this.asked.length > 0 && this.nPrompts === 0) {
      await this.others(() => Math.min(this.nAwaited, this.options.mostRows()));
      if (this.asked.length > 0) await this.runOnce();
    }
  }

  /**
   * Gives those who have not asked yet the time to, until `nWanted` have. Who got an id of the same step asks at once: then the device still has
   * a step to do meanwhile. The others have until it has none, and then their say; who is silent then is waited for no more.
   */
  private async others(nWanted: () => number): Promise<void> {
    const isFull = () => this.asked.length >= nWanted();
    if (isFull()) return;
    await this.options.turn();
    if (isFull()) return;
    await this.last().catch(() => {});
    if (!isFull()) await this.options.turn();
    if (isFull()) return;
    for (const member of this.members) member.isAwaited = this.asked.some((ask) => ask.member === member);
  }

  /** Those who decode and ask in time; who asks without decoding is no more to wait for. */
  private get nAwaited(): number {
    return [...this.members].filter(({ isAwaited }) => isAwaited).length;
  }

  /** A step of those who asked first: how many that are. */
  private async runOnce(): Promise<number> {
    const asks = this.asked.splice(0, this.options.mostRows());
    try {
      const { results, done } = await this.options.runStep(asks.map(({ row }) => row));
      this.last = done;
      for (const [i, { resolve }] of asks.entries()) resolve(results[i]!);
    } catch (error) {
      for (const { reject } of asks) reject(error);
    }
    return asks.length;
  }
}
