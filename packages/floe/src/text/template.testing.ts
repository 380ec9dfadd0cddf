/** For tests of templates that end: their worker, in this thread. */
import type { Host, WorkerPort } from '../host/index.ts';
import { nodeHost } from '../host/node.ts';
import { answerTemplateRequest, type TemplateReply, type TemplateRequest } from './renderTemplate.ts';

export type TemplateHost = Pick<Host, 'clock' | 'startTemplateWorker'>;

/** A host whose day is that of `epochMs`, where it is given. */
export function inProcessHost(epochMs?: number): TemplateHost {
  const { clock } = nodeHost(null);
  return {
    clock: epochMs === undefined ? clock : { ...clock, epochMs: () => epochMs },
    startTemplateWorker: inProcess,
  };
}

function inProcess(): WorkerPort {
  let listen: (message: unknown) => void = () => undefined;
  const reply = (message: TemplateReply) => queueMicrotask(() => listen(structuredClone(message)));
  reply({ kind: 'ready' });
  return {
    post: (message) => reply(answerTemplateRequest(structuredClone(message) as TemplateRequest)),
    onMessage: (listener) => {
      listen = listener;
    },
    onError: () => undefined,
    terminate: () => undefined,
  };
}
