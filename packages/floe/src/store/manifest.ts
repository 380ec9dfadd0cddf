/** What the database holds: of each model one manifest, its records' marks, and those records that are no files. */
import type { DBSchema } from 'idb';
import type { Host } from '../host/index.ts';
import type { RecordPlan } from './record.ts';

/**
 * A model in this origin's storage. Written first as 'downloading', which makes room for records, and last as
 * 'complete', when each record is stored. Before that the model is used only by who can fetch what is missing. `generation` is the fencing token: a record
 * is written only while the manifest has its generation.
 */
export interface Manifest {
  /** The model's id: `url#size`, and the version where the server tells one. */
  readonly model: string;
  /** Without query and fragment. */
  readonly url: string;
  readonly state: 'downloading' | 'complete';
  /** Of two complete models of one URL the higher is the newer. */
  readonly order: number;
  readonly generation: string;
  readonly packingVersion: number;
  /** SHA-256 of the plans, in hex: other plans are another layout. */
  readonly layout: string;
  readonly fileBytes: number;
  readonly version: string | null;
  /** Whether its server has ranges, so that a record can be fetched by itself; not known of older manifests. */
  readonly ranges?: boolean;
  /** The file's bytes up to its tensors' data: what opens the model with no network. */
  readonly header: Uint8Array;
  readonly headerSha256: string;
  /** When complete: SHA-256 of each record, 32 bytes each, in plan order. */
  readonly recordSha256s: Uint8Array;
  /** When complete: SHA-256 of `recordSha256s`, in hex. */
  readonly rootSha256: string;
  readonly nRecords: number;
  /** Of all records. */
  readonly totalBytes: number;
  /** SHA-256 of the whole file, where it was asked for and found right. */
  readonly fileSha256: string | null;
  /** What the last visit knew of which experts are used; absent before there was one. */
  readonly visit?: Float32Array;
}

/**
 * That a record is stored. Written in one transaction with its bytes, or after the last of them where they are a file;
 * listed without reading them.
 */
export interface Mark {
  readonly model: string;
  readonly key: string;
  readonly generation: string;
  readonly sizeBytes: number;
  readonly sha256: Uint8Array;
  /** The file it lies in, in its generation's folder; absent where it lies in `records`. */
  readonly file?: string;
}

/** A record on its way into the store. */
export interface PackedRecord {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly sha256: Uint8Array;
}

export interface StoreSchema extends DBSchema {
  manifests: { key: string; value: Manifest; indexes: { url: string } };
  marks: { key: [model: string, key: string]; value: Mark; indexes: { model: string } };
  records: { key: [model: string, key: string]; value: Uint8Array };
}

/** A name nobody else has: for a generation, for a file. */
export function newName(host: Host): string {
  return `${host.random().toString(36).slice(2)}${host.random().toString(36).slice(2)}`;
}

/** Bytes in hex, lower case. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What `Manifest.layout` is made of: every number that decides a record's bytes. */
export function layoutBytes(plans: readonly RecordPlan[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(plans));
}
