import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'

/** The local site, in its own process. */
export class Site implements AsyncDisposable {
  readonly #server: NodeProcess
  readonly #pages: number
  readonly #origin: string

  static async start(pages: number): Promise<Site> {
    const server = await NodeProcess.start(new URL('server.ts', import.meta.url), { pages })
    return new Site(server, pages, `http://127.0.0.1:${await server.told('port')}`)
  }

  private constructor(server: NodeProcess, pages: number, origin: string) {
    this.#server = server
    this.#pages = pages
    this.#origin = origin
  }

  get seed(): string {
    return `${this.#origin}/page/0`
  }

  /** The figures of a crawl of the whole site. @throws if a page was not requested, or was requested more than once */
  async figures(ms: number): Promise<Found['values']> {
    this.#server.tell('counts')
    const counts = await this.#server.told('counts')
    if (counts !== `${this.#pages} ${this.#pages}`)
      throw new Error(`the site of ${this.#pages} pages had ${counts.replace(' ', ' requests of ')} pages`)
    const { user, system } = process.cpuUsage()
    return {
      pages: { value: (this.#pages / ms) * 1_000, unit: 'pages/s' },
      'peak RSS': { value: process.resourceUsage().maxRSS / 1_024, unit: 'MB' },
      'CPU of the crawler': { value: (user + system) / 1_000_000, unit: 's' },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }
}
