import { Service } from '../../service/service.ts'
import { Elector, type ElectorOptions, type ElectorParts } from './elector.ts'

/** The electors of this process, by name. */
export class Electors extends Service {
  readonly #parts: ElectorParts
  readonly #known = new Map<string, Elector>()

  constructor(parts: ElectorParts) {
    super({ name: 'electors' })
    this.#parts = parts
  }

  /**
   * Returns the elector with this name. If there is none, or if it was stopped, creates one and starts it in the background.
   *
   * @throws PikoError `USAGE`
   */
  get(name: string, options: ElectorOptions): Elector {
    const known = this.#known.get(name)
    if (known && !known.shouldStop) return known
    const elector = new Elector(name, options, this.#parts)
    this.#known.set(name, elector)
    void this.#start(elector, known).catch((error: unknown) =>
      this.log.error({ err: error }, `elector "${name}" did not start`),
    )
    return elector
  }

  async #start(elector: Elector, earlier: Elector | undefined): Promise<void> {
    if (earlier) await this.removeChild(earlier)
    await this.startChild(elector)
  }
}
