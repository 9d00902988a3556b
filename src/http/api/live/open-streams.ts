import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** How often the token of a reader is checked again. */
const RECHECK_MS = 30_000

/** The streams of server-sent events that a server has open. They end when it stops. */
export class OpenStreams {
  readonly #open = new Set<() => void>()

  constructor(server: FastifyInstance) {
    server.addHook('preClose', (done) => {
      for (const close of this.#open) close()
      done()
    })
  }

  /**
   * Answers a request with a stream, and ends the answer when `write` has ended.
   *
   * @param close makes `write` end; called when the server stops, when the reader's token can't be verified any more, and after `write`
   */
  async serve(
    request: FastifyRequest,
    reply: FastifyReply,
    close: () => void,
    write: (raw: ServerResponse) => Promise<void>,
  ): Promise<void> {
    this.#open.add(close)
    const recheck = setInterval(() => void request.authenticate().catch(close), RECHECK_MS)
    void reply.hijack()
    const { raw } = reply
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      ...(request.raw.httpVersion === '1.1' && { connection: 'keep-alive' }),
    })
    raw.flushHeaders()
    try {
      await write(raw)
    } finally {
      clearInterval(recheck)
      this.#open.delete(close)
      close()
      raw.destroy()
    }
  }
}
