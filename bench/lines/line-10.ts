import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type JobDefinition, Sink, type SinkBatch, type SinkEnv, sqlTable } from 'piko'
import { defineCrawl, socket } from 'piko/crawl'
import { type WebSocket, WebSocketServer } from 'ws'
import { z } from 'zod'
import { equal, type Finding } from './finding.ts'
import type { Line } from './line.ts'
import { marked } from './marked.ts'
import { counted, type Scene } from './scene.ts'

interface Options {
  readonly url: string
  /** How a message is stored: in the transaction of its position, or by a sink. */
  readonly way: 'commit' | 'sink'
}

const MESSAGES = 10_000
const KILL_AT = 4_000
/** The server sends this many, then rests. */
const BURST = 50
const REST_MS = 10

const Message = z.object({ n: z.int() })
const table = sqlTable<z.infer<typeof Message>>({
  name: 'message_sink',
  model: Message,
  key: ['n'],
  windowColumn: null,
})

class Messages extends Sink {
  override open(env: SinkEnv): Promise<void> {
    return table.open(env, { create: true })
  }

  messages(rows: z.infer<typeof Message>[], batch: SinkBatch): Promise<void> {
    return table.upsert(batch, rows)
  }
}
marked(Messages, 'messages', Message)

/** No key of `message_commit` would refuse a second row. */
export const line: Line<Options> = {
  what: 'a socket of 10,000 numbered messages, whose node is killed at 4,000: rows 1 to 10,000 once each',
  crawl,
  async check(scene) {
    return [...(await streamed(scene, 'commit')), ...(await streamed(scene, 'sink'))]
  },
}

function crawl({ url, way }: Options): JobDefinition {
  return defineCrawl({
    id: `live-${way}`,
    sinks: { messages: Messages },
    robots: false,
    limits: { private: true },
    seeds: [url],
    steps: {
      live: {
        timeout: '10m',
        downloader: socket({ until: { messages: MESSAGES } }),
        parse: async (page, ctx) => {
          const n = Number(page.text())
          if (way === 'sink') return ctx.sinks.messages.write(Message, { n })
          await ctx.commit((trx) => trx.exec('INSERT INTO message_commit (n) VALUES (?)', [n]))
        },
      },
    },
  })
}

async function streamed(scene: Scene<Options>, way: Options['way']): Promise<Finding[]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  scene.defer(() => server.close())
  let connections = 0
  server.on('connection', (client) => {
    connections += 1
    void numbers(client)
  })
  const options = { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, way }
  const app = await scene.client(options)
  await app.sql.exec('CREATE TABLE IF NOT EXISTS message_commit (n INT NOT NULL)')
  const runId = await app.enqueue(`live-${way}`)
  const node = await scene.node(options)
  const rows = (): Promise<number> => counted(app, `SELECT COUNT(*) AS n FROM message_${way}`).catch(() => 0)
  await scene.until(`${KILL_AT} messages`, async () => (await rows()) >= KILL_AT)
  await node.kill()
  scene.say(`killed at ${await rows()}`)
  const next = await scene.node(options)
  const run = await app.waitFor(runId)
  await next.stop()
  const stored = await app.sql.query<{ n: number }>(`SELECT n FROM message_${way} ORDER BY n`)
  const isExact = stored.every(({ n }, index) => Number(n) === index + 1)
  return [
    equal(`state of the run, ${way}`, run.state, 'succeeded'),
    equal(`rows, each number once, ${way}`, [stored.length, isExact], [MESSAGES, true]),
    equal(`connections, ${way}`, connections, 2),
  ]
}

async function numbers(client: WebSocket): Promise<void> {
  for (let n = 1; n <= MESSAGES && client.readyState === client.OPEN; n++) {
    client.send(String(n))
    if (n % BURST === 0) await sleep(REST_MS)
  }
}
