/** How much memory Floe's worker holds, by Chromium's own account: what JavaScript uses and what array buffers take. */
import type { CDPSession, Page } from 'playwright-core';

/** Bytes of the worker's isolate at one moment. */
export interface HeapUsage {
  readonly usedBytes: number;
  /** Of array buffers, which are not in the heap. */
  readonly backingBytes: number;
}

/** Asks the page's worker again and again, and keeps the most it heard. */
export class HeapWatch {
  #peak: HeapUsage = { usedBytes: 0, backingBytes: 0 };
  #nSamples = 0;
  #worker: string | null = null;
  #nMessages = 0;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(private readonly session: CDPSession) {
    session.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => {
      // Each load starts a worker of its own; the last one is the model's.
      if (targetInfo.type === 'worker' && targetInfo.url.endsWith('/worker.js')) this.#worker = sessionId;
    });
    session.on('Target.detachedFromTarget', ({ sessionId }) => {
      if (this.#worker !== sessionId) return;
      this.#worker = null;
      for (const done of this.#waiting.values()) done(null);
      this.#waiting.clear();
    });
    session.on('Target.receivedMessageFromTarget', ({ message }) => {
      const { id, result } = JSON.parse(message) as { id: number; result?: unknown };
      this.#waiting.get(id)?.(result ?? null);
      this.#waiting.delete(id);
    });
  }

  /** Watches the workers that `page` starts from now on. */
  static async on(page: Page, everyMs = 100): Promise<HeapWatch> {
    const session = await page.context().newCDPSession(page);
    const watch = new HeapWatch(session);
    // Not flat: a flat session's messages would go to Playwright, which knows nothing of it.
    await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
    const again = async () => {
      await watch.sample();
      watch.#timer = setTimeout(again, everyMs);
    };
    watch.#timer = setTimeout(again, everyMs);
    return watch;
  }

  /** The most at one moment, and how many moments were seen. */
  get peak(): HeapUsage & { readonly nSamples: number } {
    return { ...this.#peak, nSamples: this.#nSamples };
  }

  /** What the worker holds once all that nobody reaches is collected. */
  async settled(): Promise<HeapUsage | null> {
    await this.#ask('HeapProfiler.collectGarbage');
    return this.sample();
  }

  async sample(): Promise<HeapUsage | null> {
    const usage = (await this.#ask('Runtime.getHeapUsage')) as { usedSize: number; backingStorageSize: number } | null;
    if (!usage) return null;
    const { usedSize: usedBytes, backingStorageSize: backingBytes } = usage;
    this.#nSamples++;
    if (usedBytes + backingBytes > this.#peak.usedBytes + this.#peak.backingBytes) {
      this.#peak = { usedBytes, backingBytes };
    }
    return { usedBytes, backingBytes };
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.session.detach().catch(() => {});
    clearTimeout(this.#timer);
  }

  /** The worker's answer; null where there is no worker, or it ends before it answers. */
  async #ask(method: string): Promise<unknown> {
    const worker = this.#worker;
    if (worker === null) return null;
    const id = ++this.#nMessages;
    const answer = new Promise<unknown>((resolve) => this.#waiting.set(id, resolve));
    await this.session
      .send('Target.sendMessageToTarget', { sessionId: worker, message: JSON.stringify({ id, method }) })
      .catch(() => this.#waiting.get(id)?.(null));
    return answer;
  }
}
