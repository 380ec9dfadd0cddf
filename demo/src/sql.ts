/** SQL as the page shows it: split into coloured pieces, and held against the tables it should speak of. */

export type PieceKind = 'keyword' | 'function' | 'string' | 'number' | 'name' | 'other';

export interface Piece {
  readonly kind: PieceKind;
  readonly text: string;
}

const KEYWORDS = new Set(
  `select from where group by having order limit offset join inner left right full outer cross on using as and or not in
  is null like between exists case when then else end asc desc distinct union all intersect except with insert into values
  update set delete create table primary key foreign references if unique default check index view drop alter add column
  constraint integer int bigint smallint real float double numeric decimal text varchar char date datetime timestamp time
  boolean blob true false cast interval over partition rows recursive`.split(/\s+/),
);
const FUNCTIONS = new Set(
  'count sum avg min max strftime round coalesce lower upper length substr abs date datetime total nullif'.split(' '),
);
const PIECE = /'(?:[^']|'')*'?|\b\d+(?:\.\d+)?\b|[\p{L}_][\p{L}\p{N}_]*|\s+|./gsu;

/** Every character of `sql`, in order, in pieces. */
export function pieces(sql: string): Piece[] {
  return [...sql.matchAll(PIECE)].map(({ 0: text, index }) => ({ kind: kindOf(text, sql[index + text.length]), text }));
}

function kindOf(text: string, next: string | undefined): PieceKind {
  if (text.startsWith("'")) return 'string';
  if (/^\d/.test(text)) return 'number';
  if (!/^[\p{L}_]/u.test(text)) return 'other';
  const word = text.toLowerCase();
  if (FUNCTIONS.has(word) && next === '(') return 'function';
  return KEYWORDS.has(word) ? 'keyword' : 'name';
}

const STATEMENT = /^\s*(select|with|insert|update|delete|create)\b/i;

/** True where a text is a statement, not talk. */
export function isSql(text: string): boolean {
  return STATEMENT.test(text);
}

/** The names a statement uses that the schema doesn't have: what a small model copied wrong. Aliases are let through. */
export function unknownNames(sql: string, schema: string): string[] {
  const known = new Set(names(schema));
  const aliases = [...sql.matchAll(/\bas\s+([\p{L}_][\p{L}\p{N}_]*)/giu)].map((match) => match[1]!.toLowerCase());
  for (const alias of aliases) known.add(alias);
  return [...new Set(names(sql))].filter((name) => !known.has(name));
}

function names(text: string): string[] {
  return pieces(text).flatMap(({ kind, text: name }) => (kind === 'name' ? [name.toLowerCase()] : []));
}
