import { abortedError, TextError, throwIfAborted } from '../errors/index.ts';
import type { Host, WorkerPort } from '../host/index.ts';
import type { TemplateReply, TemplateRequest } from './renderTemplate.ts';

/** A template of a real model takes a millisecond; one that takes this long does not end. */
export const TEMPLATE_LIMIT_MS = 1000;
/** Loading the worker's code is not the template's fault, and on a busy machine takes longer than it may. */
const START_LIMIT_MS = 15_000;

/**
 * Renders in a worker that is kept between calls and thrown away when a template does not end, fails the worker, or
 * its caller loses patience. One request at a time.
 */
export class TemplateRunner {
  readonly #host: Pick<Host, 'clock' | 'startTemplateWorker'>;
  #worker: RunningWorker | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #request = 0;

  constructor(host: Pick<Host, 'clock' | 'startTemplateWorker'>) {
    this.#host = host;
  }

  /** The template's text for each context. */
  run(template: string, contexts: TemplateRequest['contexts'], signal?: AbortSignal): Promise<readonly string[]> {
    const turn = this.#last.then(() => this.#run(template, contexts, signal));
    this.#last = turn.catch(() => undefined); // Its caller hears of it; the next one's turn comes all the same.
    return turn;
  }

  /** Ends the worker. The next `run` starts another. */
  dispose(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }

  async #run(
    template: string,
    contexts: TemplateRequest['contexts'],
    signal?: AbortSignal,
  ): Promise<readonly string[]> {
    throwIfAborted(signal);
    try {
      this.#worker ??= new RunningWorker(this.#host.startTemplateWorker());
      const worker = this.#worker;
      await this.#within(START_LIMIT_MS, worker.ready, signal);
      const request = this.#request++;
      const reply = worker.ask({ request, template, contexts, nowMs: this.#host.clock.epochMs() });
      const answer = await this.#within(TEMPLATE_LIMIT_MS, reply, signal);
      if (answer.kind === 'rendered') return answer.texts;
      throw templateError(
        `The chat template can't be used: ${answer.kind === 'failed' ? answer.message : 'no answer'}.`,
      );
    } catch (error) {
      // After a refusal the worker is as good as before; after anything else nobody knows.
      if (!(error instanceof TextError && error.code === 'text/template')) this.dispose();
      throw error;
    }
  }

  /** `promise`, unless the limit or the signal comes first. */
  async #within<T>(limitMs: number, promise: Promise<T>, signal?: AbortSignal): Promise<T> {
    const timer = new AbortController();
    const onAbort = () => timer.abort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const late = this.#host.clock.sleep(limitMs, timer.signal).then(
      () => Promise.reject(timeoutError(limitMs)),
      () => Promise.reject(abortedError(signal?.reason)),
    );
    late.catch(() => undefined); // Where the answer came first, nobody waits for this one.
    try {
      return await Promise.race([promise, late]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      timer.abort();
    }
  }
}

/** A worker and the one thing its next message answers. */
class RunningWorker {
  readonly ready: Promise<TemplateReply>;
  readonly #port: WorkerPort;
  #resolve: (reply: TemplateReply) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(port: WorkerPort) {
    this.#port = port;
    this.ready = this.#next();
    this.ready.catch(() => undefined);
    port.onMessage((message) => this.#resolve(message as TemplateReply));
    port.onError((error) => this.#reject(workerError(error)));
  }

  ask(request: TemplateRequest): Promise<TemplateReply> {
    const reply = this.#next();
    reply.catch(() => undefined);
    this.#port.post(request);
    return reply;
  }

  terminate(): void {
    this.#port.terminate();
  }

  #next(): Promise<TemplateReply> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }
}

/** A `text/template` error: the template, or what it was asked to render, is at fault. */
export function templateError(message: string, details: Readonly<Record<string, string | number>> = {}): TextError {
  return new TextError('text/template', message, {
    remedy: 'Check the messages (some templates want roles in a certain order), or use `completions` with a prompt.',
    details,
  });
}

function timeoutError(limitMs: number): TextError {
  return new TextError('text/template-timeout', `The chat template did not end within ${limitMs} ms and was stopped.`, {
    remedy: 'The template is part of the model file: use `completions` with a prompt, or another file.',
    details: { limitMs },
  });
}

function workerError(cause: Error): TextError {
  return new TextError('text/template-timeout', `The worker that renders the chat template died: ${cause.message}.`, {
    remedy: 'The template took too much memory, or templateWorker.js is not served beside the library.',
    cause,
  });
}
