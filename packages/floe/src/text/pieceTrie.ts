/** A node of the trie; the root is 0. */
export type TrieNode = number;
export const ROOT: TrieNode = 0;
/** Where no piece goes on, and the id of a node at which none ends. */
export const NONE = -1;

/** Multiplied with a node and a unit they spread well (golden ratio; murmur3's last step). */
const NODE_FACTOR = 0x9e3779b1;
const UNIT_FACTOR = 0x85ebca6b;

/**
 * The pieces of a vocabulary, to be walked one UTF-16 unit at a time. The edges lie in one open hash table of typed
 * arrays: 250,000 pieces are some 700,000 nodes, which as objects would take ten times the memory.
 */
export class PieceTrie {
  /** By slot: the node an edge leaves, plus 1 (0: the slot is free), its unit, and the node it leads to. */
  readonly #from: Int32Array;
  readonly #unit: Uint16Array;
  readonly #to: Int32Array;
  readonly #mask: number;
  readonly #ids: Int32Array;
  #nNodes = 1;

  /** Of pieces of one text the last counts. */
  constructor(pieces: Iterable<readonly [text: string, id: number]>) {
    const list = [...pieces];
    const mostNodes = 1 + list.reduce((sum, [text]) => sum + text.length, 0);
    const nSlots = 2 ** Math.ceil(Math.log2(2 * mostNodes));
    this.#from = new Int32Array(nSlots);
    this.#unit = new Uint16Array(nSlots);
    this.#to = new Int32Array(nSlots);
    this.#mask = nSlots - 1;
    this.#ids = new Int32Array(mostNodes).fill(NONE);
    for (const [text, id] of list) this.#insert(text, id);
  }

  /** The node behind `unit`, or NONE. */
  step(node: TrieNode, unit: number): TrieNode {
    const slot = this.#slot(node, unit);
    return this.#from[slot] === 0 ? NONE : this.#to[slot]!;
  }

  /** The id of the piece that ends here, or NONE. */
  idAt(node: TrieNode): number {
    return this.#ids[node]!;
  }

  /** The edge's slot, or the free one where it would lie. */
  #slot(node: TrieNode, unit: number): number {
    const hash = Math.imul(node, NODE_FACTOR) ^ Math.imul(unit, UNIT_FACTOR);
    let slot = (hash ^ (hash >>> 15)) & this.#mask;
    while (this.#from[slot] !== 0 && (this.#from[slot] !== node + 1 || this.#unit[slot] !== unit)) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }

  #insert(text: string, id: number): void {
    let node = ROOT;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      const slot = this.#slot(node, unit);
      if (this.#from[slot] === 0) {
        this.#from[slot] = node + 1;
        this.#unit[slot] = unit;
        this.#to[slot] = this.#nNodes++;
      }
      node = this.#to[slot]!;
    }
    this.#ids[node] = id;
  }
}
