export { loadModel } from './client.ts';
