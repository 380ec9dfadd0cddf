/** Where a model comes from. */

export type ModelSource =
  | { readonly kind: 'bundled' }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'file'; readonly file: File };

/** The model that comes with the page. Its hash is checked before a byte is used. */
export const bundled = {
  name: 'Arctic-mini SQL',
  url: new URL('models/arctic-mini-sql-q4_0.gguf', document.baseURI).href,
  sha256: '91e93935cc7d64956d98d92631368b86a89105e6b401b562a9786ead71b800e8',
} as const;

/** A source as an address names it; that of the bundled model is the bundled model. */
export function sourceOf(address: string): ModelSource {
  const url = URL.canParse(address, document.baseURI) ? new URL(address, document.baseURI).href : address;
  return url === bundled.url ? { kind: 'bundled' } : { kind: 'url', url };
}

/** True where a source lies on the page's own origin or on this device: nothing of it comes from someone else. */
export function isOwn(source: ModelSource): boolean {
  if (source.kind !== 'url') return true;
  return URL.canParse(source.url) && new URL(source.url).origin === location.origin;
}

/** What to call a model before its own name is known. */
export function labelOf(source: ModelSource): string {
  if (source.kind === 'bundled') return bundled.name;
  if (source.kind === 'file') return source.file.name;
  return source.url.split(/[?#]/)[0]!.split('/').at(-1) || source.url;
}
