/** What of a URL's model is stored, found without a request. */
import type { Host } from '../host/index.ts';
import type { Database } from './database.ts';
import { storedHashes } from './download.ts';
import { hex, layoutBytes, type Manifest } from './manifest.ts';
import { PACKING_VERSION } from './pack.ts';
import type { RecordPlan } from './record.ts';
import { type ByteSource, checkRange } from './source.ts';

/** How a model is made out of its file's header. */
export interface HeaderReader<G extends { readonly headerBytes: number }> {
  /** `readGguf`, which reads the file's beginning and nothing else. */
  readonly readHeader: (source: ByteSource, signal?: AbortSignal) => Promise<G>;
  /** Which records the model has; the same header gives the same plans. */
  readonly makePlans: (header: G) => readonly RecordPlan[];
  readonly signal?: AbortSignal;
}

/** A model of which enough is stored to use it. */
export interface Ready<G> {
  readonly manifest: Manifest;
  readonly header: G;
  readonly plans: readonly RecordPlan[];
  /** SHA-256 of each record that is stored, by key. */
  readonly hashes: Map<string, Uint8Array>;
}

/** The newest complete model of `url`, among those taken, whose every record is marked as stored; no record is read. */
export async function lookUp<G extends { readonly headerBytes: number }>(
  host: Host,
  db: Database,
  url: string,
  take: (manifest: Manifest) => boolean,
  reader: HeaderReader<G>,
): Promise<Ready<G> | null> {
  for (const manifest of await newestFirst(db, url)) {
    if (manifest.state !== 'complete' || !take(manifest)) continue;
    if (hex(await host.sha256(manifest.recordSha256s)) !== manifest.rootSha256) continue;
    const read = await readManifest(host, manifest, reader);
    const marks = read ? await db.marks(manifest.model, manifest.generation) : [];
    if (!read || marks.length !== manifest.nRecords) continue;
    const hashOf = (i: number) => manifest.recordSha256s.subarray(32 * i, 32 * i + 32);
    return { manifest, ...read, hashes: new Map(read.plans.map(({ key }, i) => [key, hashOf(i)])) };
  }
  return null;
}

/**
 * The newest model of `url`, among those taken, that lacks none of the records that `neededOf` names; what else it lacks
 * can be fetched by ranges.
 */
export async function lookUpPart<G extends { readonly headerBytes: number }>(
  host: Host,
  db: Database,
  url: string,
  take: (manifest: Manifest) => boolean,
  reader: HeaderReader<G>,
  neededOf: (plans: readonly RecordPlan[]) => readonly RecordPlan[],
): Promise<Ready<G> | null> {
  for (const manifest of await newestFirst(db, url)) {
    if (!manifest.ranges || !take(manifest)) continue;
    const read = await readManifest(host, manifest, reader);
    if (!read) continue;
    const hashes = await storedHashes(db, manifest, read.plans);
    if (neededOf(read.plans).every(({ key }) => hashes.has(key))) return { manifest, ...read, hashes };
  }
  return null;
}

async function newestFirst(db: Database, url: string): Promise<Manifest[]> {
  const manifests = (await db.manifestsOf(url)).filter(({ packingVersion }) => packingVersion === PACKING_VERSION);
  return manifests.sort((a, b) => b.order - a.order);
}

/** What the stored header says; null where it is damaged, or is read otherwise than when the records were made. */
async function readManifest<G extends { readonly headerBytes: number }>(
  host: Host,
  manifest: Manifest,
  { readHeader, makePlans, signal }: HeaderReader<G>,
): Promise<{ header: G; plans: readonly RecordPlan[] } | null> {
  if (hex(await host.sha256(manifest.header)) !== manifest.headerSha256) return null;
  const header = await readHeader(headerSource(manifest), signal);
  const plans = makePlans(header);
  return hex(await host.sha256(layoutBytes(plans))) === manifest.layout ? { header, plans } : null;
}

/** The stored beginning of a file, standing for the whole. */
function headerSource({ url, fileBytes, version, header }: Manifest): ByteSource {
  const source: ByteSource = {
    name: url,
    sizeBytes: fileBytes,
    version,
    local: true,
    ranges: true,
    fetchedBytes: 0,
    read: async (offset, length) => {
      checkRange(source, offset, length);
      // A reader may take more than it needs; behind the header there is nothing it looks at.
      const bytes = new Uint8Array(length);
      bytes.set(header.subarray(Math.min(offset, header.length), Math.min(offset + length, header.length)));
      return bytes;
    },
    close: async () => undefined,
  };
  return source;
}
