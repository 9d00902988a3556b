import { type Logger } from '../job/context.ts'
import { type Health } from './health.ts'
import { buildServer, listen } from './server.ts'

/** What is served of an app; a `Piko` fits. */
export interface ServedApp {
  readonly log: Logger
  readonly isStopping: boolean
  health(): Promise<Health>
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>
}

export interface HttpServer {
  /** Such as `http://127.0.0.1:9464`. */
  readonly url: string
  /** Waits for the answers under way. */
  close(): Promise<void>
}

/**
 * Serves health and metrics of an app, also before it is started and while it stops: close the server after the app.
 *
 * @param at port 0 takes any free port
 * @throws PikoError `HTTP_LISTEN_FAILED`
 */
export async function serveHttp(app: ServedApp, at: { host: string; port: number }): Promise<HttpServer> {
  const server = buildServer({
    logger: app.log,
    isStopping: () => app.isStopping,
    health: () => app.health(),
    metrics: () => app.metrics(),
  })
  return { url: await listen(server, at), close: () => server.close() }
}
