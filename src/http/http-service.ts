import { Server as TlsServer } from 'node:tls'
import { Service } from '../service/service.ts'
import { countRequests } from './count-requests.ts'
import { ownRoutes } from './own-routes.ts'
import type { Settings } from '../settings/settings.ts'
import { isLoopback } from '../access/loopback.ts'
import { assertProtected } from './access/protection.ts'
import { followTls, readTls, tlsFiles } from './access/tls.ts'
import type { ServedApp } from './served-app.ts'
import { buildServer, listen } from './server.ts'

/** Where the server listens, and other settings of `[http]`. Missing ones are taken from the app's settings. */
export type HttpAt = Pick<Settings['http'], 'host' | 'port'> & Partial<Settings['http']>

/**
 * Serves the API, the health, the metrics and the graph of an app over HTTP. Add it as the first service, so that it answers probes until
 * all other services have stopped: `app.addService(new HttpService(app, at), { first: true })`.
 */
export class HttpService extends Service {
  /** Whether requests to restart this service may arrive through the service itself. Then the answer must be sent before the restart. */
  readonly answersRequests = true
  readonly #app: ServedApp
  readonly #at: Settings['http']
  #url: string | undefined

  /** @param at the address. With port 0 it listens on any free port, and keeps this port when the service restarts */
  constructor(app: ServedApp, at: HttpAt) {
    super({ name: 'http' })
    this.#app = app
    this.#at = { ...app.settings.http, ...at }
    // Tokens may be in the store, which is not open yet when this service starts. So a later service checks for them.
    if (this.#at.api && !isLoopback(at.host)) app.addService(new TokenCheck(app, at.host))
  }

  /** The address, such as `http://127.0.0.1:9464`; undefined before the first start. */
  get url(): string | undefined {
    return this.#url
  }

  /** @throws PikoError `HTTP_UNPROTECTED`, `TLS_INVALID`, `HTTP_LISTEN_FAILED` */
  protected override async onStart(): Promise<void> {
    const app = this.#app
    const { api, bodyLimit, host, hosts, plain, rateLimit, requireToken, tlsCert, tlsKey, trustForwarded } = this.#at
    const files = tlsFiles(tlsKey, tlsCert)
    const hasTls = files !== undefined
    assertProtected({ host, api, hasTls, plain, hasTokens: undefined })
    const server = buildServer({
      logger: app.log,
      isStopping: () => app.isStopping,
      health: () => app.health(),
      metrics: () => app.metrics(),
      services: () => app.services.tree(),
      tls: files && readTls(files),
      bodyLimit,
      ...(api && {
        app,
        access: {
          ...{ access: app.access, events: app.events, hosts, hasTls, perMinute: rateLimit },
          allowsLocal: isLoopback(host) && !requireToken,
          trustsForwarded: trustForwarded,
        },
      }),
    })
    countRequests(server, app.events)
    ownRoutes(server, app.http.additions)
    this.defer(() => server.close())
    const port = this.#url === undefined ? this.#at.port : Number(new URL(this.#url).port)
    this.#url = await listen(server, { host, port })
    if (files && server.server instanceof TlsServer) this.defer(followTls(server.server, files, app.log))
  }
}

/** Prevents an app from starting if other machines can reach its API and there are no tokens. */
class TokenCheck extends Service {
  readonly #app: Pick<ServedApp, 'access'>
  readonly #host: string

  constructor(app: Pick<ServedApp, 'access'>, host: string) {
    super({ name: 'http-tokens' })
    this.#app = app
    this.#host = host
  }

  protected override async onStart(): Promise<void> {
    const hasTokens = await this.#app.access.hasTokens()
    assertProtected({ host: this.#host, api: true, hasTls: true, plain: true, hasTokens })
  }
}
