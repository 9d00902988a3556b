// Netcore's server and client: `Endpoint(pipe)`, `@request`, `send(…, blocking_recv=True)`, over a socket's `recv` and `send`.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { defineRoutes, duplexFrom, linkOf } from 'piko/link'

/** Any transport with `recv` and `send`: Netcore's `Pipe(recv, send)`. */
function pipeOf(socket: Socket): ReturnType<typeof duplexFrom> {
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>
  return duplexFrom({
    read: async () => (await chunks.next()).value,
    write: (bytes) => new Promise((resolve) => socket.write(bytes, resolve)),
    close: () => socket.destroy(),
  })
}

const routes = defineRoutes({ fallback: ({ path }) => `no route ${path}` })
  .on('/message', ({ body }) => ({ received: body }))
  .on('/fail', () => {
    throw new Error('broken')
  })

const server = createServer((socket) => {
  const link = linkOf(pipeOf(socket), { role: 'listen', routes: [routes] })
  void link.events.on('bye', () => link.emit('bye too'))
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

const client = linkOf(pipeOf(connect((server.address() as AddressInfo).port)), { role: 'dial' })
console.log(await client.call('/message', { hello: 'netcore' }))
// Ten at the same time over the one connection.
console.log((await Promise.all(Array.from({ length: 10 }, (_, index) => client.call('/message', index)))).length)
// Netcore never answers these two.
console.log(await client.call('/unknown'))
process.on('warning', () => {})
console.log(await client.call('/fail').catch(({ code }: { code: string }) => code))
const bye = new Promise((resolve) => client.events.once('bye too', resolve))
await client.emit('bye')
await bye
await client.close()
server.close()
console.log('closed')
