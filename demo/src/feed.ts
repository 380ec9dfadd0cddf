/** A value that changes, and those who draw it. */
export class Feed<T> {
  readonly #listeners: ((latest: T) => void)[] = [];

  constructor(private value: T) {}

  get latest(): T {
    return this.value;
  }

  set(value: T): void {
    this.value = value;
    for (const listener of this.#listeners) listener(value);
  }

  subscribe(listener: (latest: T) => void): void {
    this.#listeners.push(listener);
  }
}
