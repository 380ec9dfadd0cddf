export { loadModel, planLoad } from './client.ts';
