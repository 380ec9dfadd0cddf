/** Node's template worker: an entry point of the build, started by `nodeHost().startTemplateWorker()`. */
import { parentPort } from 'node:worker_threads';
import { answerTemplateRequest, type TemplateReply, type TemplateRequest } from './renderTemplate.ts';

const reply = (message: TemplateReply) => parentPort?.postMessage(message);
parentPort?.on('message', (request: TemplateRequest) => reply(answerTemplateRequest(request)));
reply({ kind: 'ready' });
