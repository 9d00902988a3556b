import { Service } from '../service/service.ts'
import { ownRoutes } from './own-routes.ts'
import type { ServedApp } from './served-app.ts'
import { buildServer, listen } from './server.ts'

/**
 * Serves health, metrics and the graph of an app over HTTP. Add it as the first service, so that it answers probes from the start until all
 * other services have stopped: `app.addService(new HttpService(app, at), { first: true })`.
 */
export class HttpService extends Service {
  readonly #app: ServedApp
  readonly #at: { host: string; port: number }
  #url: string | undefined

  /** @param at the address; with port 0 any free port, which stays the same after a restart of the service */
  constructor(app: ServedApp, at: { host: string; port: number }) {
    super({ name: 'http' })
    this.#app = app
    this.#at = at
  }

  /** The address, such as `http://127.0.0.1:9464`; undefined before the first start. */
  get url(): string | undefined {
    return this.#url
  }

  protected override async onStart(): Promise<void> {
    const app = this.#app
    const server = buildServer({
      logger: app.log,
      isStopping: () => app.isStopping,
      health: () => app.health(),
      metrics: () => app.metrics(),
      services: () => app.services,
      app,
    })
    ownRoutes(server, app.http.additions)
    this.defer(() => server.close())
    const port = this.#url === undefined ? this.#at.port : Number(new URL(this.#url).port)
    this.#url = await listen(server, { host: this.#at.host, port })
  }
}
