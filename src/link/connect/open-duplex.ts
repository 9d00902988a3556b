import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Address } from './address.ts'
import type { DialTls } from './dial-tls.ts'
import { dialSocket } from './websocket.ts'

/** Starts to connect. The stream accepts bytes immediately. If the connection fails, the stream emits the error. */
export async function openDuplex(address: Address, tls: DialTls): Promise<Duplex> {
  switch (address.kind) {
    case 'tcp':
      return connectTcp({ host: address.host, port: address.port, noDelay: true })
    case 'unix':
      return connectTcp({ path: address.path })
    case 'tls': {
      const { host, port } = address
      // This module needs 15 MB of memory, and most links do not use it.
      const { connect: connectTls } = await import('node:tls')
      const socket = connectTls({ ...(isName(host) && { servername: host }), ...tls, host, port })
      socket.setNoDelay(true)
      return socket
    }
    case 'websocket':
      return dialSocket(address.url, tls)
  }
}

function isName(host: string): boolean {
  return !host.includes(':') && !/^\d+(?:\.\d+){3}$/.test(host)
}
