import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const CRLF = '\r\n'
const HEAD = `Host: 127.0.0.1${CRLF}`
const MAX_MS = 60_000
const LEAKS = /\bat .+\.(?:ts|js):\d+|node_modules|select .+ from|SQLITE_|ER_[A-Z]+_/i

/** Requests that no client library sends, and whether the server answers them. */
const REQUESTS: Readonly<Record<string, Buffer>> = Object.fromEntries(
  Object.entries({
    'a flood of headers': `GET /api/v1/runs HTTP/1.1${CRLF}${HEAD}${Array.from({ length: 5_000 }, (_, n) => `x-${n}: ${n}${CRLF}`).join('')}${CRLF}`,
    'a long header': `GET /api/v1/runs HTTP/1.1${CRLF}${HEAD}x: ${'y'.repeat(200_000)}${CRLF}${CRLF}`,
    'a long path': `GET /api/v1/${'a'.repeat(100_000)} HTTP/1.1${CRLF}${HEAD}${CRLF}`,
    'a path of dots': `GET /api/v1/../../../../etc/passwd HTTP/1.1${CRLF}${HEAD}${CRLF}`,
    'a path with a wrong escape': `GET /api/v1/jobs/%zz%ff/why HTTP/1.1${CRLF}${HEAD}${CRLF}`,
    'a path that is not UTF-8': Buffer.concat([
      Buffer.from('GET /api/v1/jobs/'),
      Buffer.from([0xc3, 0x28, 0xff, 0xfe]),
      Buffer.from(` HTTP/1.1${CRLF}${HEAD}${CRLF}`),
    ]),
    'a body that is not UTF-8': Buffer.concat([
      Buffer.from(
        `POST /api/v1/jobs/ship_order/runs HTTP/1.1${CRLF}${HEAD}content-type: application/json${CRLF}content-length: 4${CRLF}${CRLF}`,
      ),
      Buffer.from([0x22, 0xff, 0xfe, 0x22]),
    ]),
    'two lengths': `POST /api/v1/runs/cancel HTTP/1.1${CRLF}${HEAD}content-length: 2${CRLF}content-length: 3${CRLF}${CRLF}{}`,
    'a length and chunks': `POST /api/v1/runs/cancel HTTP/1.1${CRLF}${HEAD}content-length: 2${CRLF}transfer-encoding: chunked${CRLF}${CRLF}0${CRLF}${CRLF}`,
    'a chunk of a wrong size': `POST /api/v1/runs/cancel HTTP/1.1${CRLF}${HEAD}content-type: application/json${CRLF}transfer-encoding: chunked${CRLF}${CRLF}zz${CRLF}{}${CRLF}`,
    'a huge length': `POST /api/v1/runs/cancel HTTP/1.1${CRLF}${HEAD}content-type: application/json${CRLF}content-length: 99999999999${CRLF}${CRLF}{}`,
    'no HTTP': 'hello\r\n\r\n',
    'another protocol': Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]),
    'a method without a path': `GET HTTP/1.1${CRLF}${CRLF}`,
  }).map(([name, text]) => [name, typeof text === 'string' ? Buffer.from(text, 'latin1') : text]),
)

/** Sends each odd request, and opens connections that send only a part of one. @returns what went wrong */
export async function rawFuzz(port: number): Promise<{ wrong: readonly unknown[]; half: readonly Socket[] }> {
  const wrong: unknown[] = []
  const answers = await Promise.all(
    Object.entries(REQUESTS).map(async ([name, bytes]) => ({ name, answer: await answerOf(port, bytes) })),
  )
  for (const { name, answer } of answers) {
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
    // The server may also close the connection without a word.
    if (answer !== '' && (!(status >= 400 && status < 500) || LEAKS.test(answer)))
      wrong.push({ name, answer: answer.slice(0, 300) })
  }
  const half: Socket[] = []
  for (const bytes of Object.values(REQUESTS)) {
    const socket = connect(port, '127.0.0.1')
      .on('error', () => {})
      .resume()
    await once(socket, 'connect')
    socket.write(bytes.subarray(0, 30))
    half.push(socket)
  }
  return { wrong, half }
}

/** What the server sends until it closes the connection, or the whole answer. */
async function answerOf(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  let text = ''
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, MAX_MS)
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    if (text.includes('\r\n\r\n')) resolve()
  })
  socket.on('close', () => resolve())
  socket.write(bytes)
  await promise
  clearTimeout(timer)
  socket.destroy()
  return text
}
