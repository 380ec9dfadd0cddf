import type { Manifest } from './manifest.ts';

/** Of a model whose download has begun. */
export const manifest: Manifest = {
  model: 'https://a.example/x#10',
  url: 'https://a.example/x',
  state: 'downloading',
  order: 1,
  generation: 'g1',
  packingVersion: 1,
  layout: '',
  fileBytes: 10,
  version: null,
  header: new Uint8Array(3),
  headerSha256: '',
  recordSha256s: new Uint8Array(0),
  rootSha256: '',
  nRecords: 2,
  totalBytes: 20,
  fileSha256: null,
};
