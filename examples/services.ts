/**
 * A page-view cache as a tree of supervised services: an app with a WebSocket server, a web server and a user cache.
 *
 *   node --conditions=piko-source --import tsx examples/services.ts [--svg services.svg]
 *
 * Open http://127.0.0.1:8080/view/ada a few times; Ctrl-C stops everything in reverse order.
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { runWorker, Service, serviceGraph, timer, toDot, toSvg } from 'piko/service'
import { WebSocketServer } from 'ws'

const { values } = parseArgs({ options: { svg: { type: 'string' }, port: { type: 'string', default: '8080' } } })
const port = Number(values.port)

class UserCache extends Service {
  readonly #views = new Map<string, number>()

  see(user: string): number {
    const views = (this.#views.get(user) ?? 0) + 1
    this.#views.set(user, views)
    return views
  }

  @timer('1s')
  report(): void {
    const total = [...this.#views.values()].reduce((sum, views) => sum + views, 0)
    this.log.info(`${total} views of ${this.#views.size} users`)
  }
}

class WebSockets extends Service {
  readonly #port: number
  #server: WebSocketServer | undefined

  constructor(port: number) {
    super()
    this.#port = port
  }

  tell(text: string): void {
    for (const client of this.#server?.clients ?? []) client.send(text)
  }

  protected override async onStart(): Promise<void> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: this.#port })
    this.#server = server
    this.defer(() => new Promise((resolve) => server.close(resolve)))
    this.defer(() => {
      for (const client of server.clients) client.terminate()
    })
    await once(server, 'listening')
  }
}

class WebServer extends Service {
  readonly #port: number
  readonly #cache: UserCache
  readonly #sockets: WebSockets

  constructor(port: number, cache: UserCache, sockets: WebSockets) {
    super()
    this.#port = port
    this.#cache = cache
    this.#sockets = sockets
    this.dependsOn(cache, sockets)
  }

  protected override async onStart(): Promise<void> {
    const server = createServer((request, response) => {
      const user = /^\/view\/(\w+)$/.exec(request.url ?? '')?.[1]
      if (user === undefined) {
        response.writeHead(404).end('try /view/ada\n')
        return
      }
      const views = this.#cache.see(user)
      this.#sockets.tell(JSON.stringify({ user, views }))
      response.end(`${user} was viewed ${views} times\n`)
    })
    this.defer(() => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.log.info(`listening on http://127.0.0.1:${this.#port}`)
  }
}

class App extends Service {
  constructor() {
    super()
    const cache = this.addChild(new UserCache())
    const sockets = this.addChild(new WebSockets(port + 1))
    this.addChild(new WebServer(port, cache, sockets))
  }

  protected override async onStarted(): Promise<void> {
    if (values.svg !== undefined) await writeFile(values.svg, await toSvg(toDot(serviceGraph(this))))
  }
}

await runWorker([new App()])
