/** What the loaded model last said of its experts, for those who show it. */
import type { ExpertsReport } from 'floe';

/** `isFirst`: of a model just loaded. Null where it has no experts. */
type Listener = (report: ExpertsReport | null, isFirst: boolean) => void;

export class ExpertFeed {
  #latest: ExpertsReport | null = null;
  readonly #listeners: Listener[] = [];

  get latest(): ExpertsReport | null {
    return this.#latest;
  }

  /** The first report of a model. */
  begin(report: ExpertsReport | null): void {
    this.#tell(report, true);
  }

  /** A later one. Reports come by two ways, so that one may overtake another: the older is dropped. */
  add(report: ExpertsReport | null): void {
    if (!report || !this.#latest || report.counts.nTokens < this.#latest.counts.nTokens) return;
    this.#tell(report, false);
  }

  subscribe(listener: Listener): void {
    this.#listeners.push(listener);
  }

  #tell(report: ExpertsReport | null, isFirst: boolean): void {
    this.#latest = report;
    for (const listener of this.#listeners) listener(report, isFirst);
  }
}
