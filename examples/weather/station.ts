import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { WeatherFile } from './source.ts'

export interface Station {
  readonly url: string
  close(): Promise<void>
}

/** A weather station: `GET /days/2012-01-01` returns that day as CSV (header and one line), or 404. */
export async function startStation({ header, lines }: WeatherFile): Promise<Station> {
  const server = createServer((request, response) => {
    const day = /^\/days\/([\d-]+)$/.exec(request.url ?? '')?.[1] ?? ''
    const line = lines.get(day)
    response.writeHead(line === undefined ? 404 : 200, { 'content-type': 'text/csv; charset=utf-8' })
    response.end(line === undefined ? `no such day: ${request.url}\n` : `${header}\n${line}\n`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
