/** The browser's template worker: an entry point of the build, started by `browserHost().startTemplateWorker()`. */
import { answerTemplateRequest, type TemplateReply, type TemplateRequest } from './renderTemplate.ts';

const reply = (message: TemplateReply) => self.postMessage(message);
self.onmessage = (event: MessageEvent<TemplateRequest>) => reply(answerTemplateRequest(event.data));
reply({ kind: 'ready' });
