import { describe, PikoError } from '../../errors.ts'

/** The address of a listener. */
export type Address =
  | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'websocket'; readonly url: string }

const EXPECTED =
  'expected piko://host:port, piko+tls://host:port, piko+unix:/path/to/socket, ws://host:port/path or wss://host:port/path'

/** Parses the URL of a listener. @throws PikoError `USAGE` */
export function readAddress(url: string): Address {
  const unix = /^piko\+unix:(?:\/\/)?(\/.+)$/.exec(url)?.[1]
  if (unix !== undefined) return { kind: 'unix', path: unix }
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol === 'ws:' || parsed?.protocol === 'wss:') return { kind: 'websocket', url }
  const kind = parsed?.protocol === 'piko:' ? 'tcp' : parsed?.protocol === 'piko+tls:' ? 'tls' : undefined
  if (!parsed || !kind || parsed.hostname === '' || parsed.port === '')
    throw new PikoError('USAGE', `the URL of a link is ${describe(url)}; ${EXPECTED}`, { details: { url } })
  return { kind, host: parsed.hostname.replace(/^\[|\]$/g, ''), port: Number(parsed.port) }
}

export function addressText(address: Address): string {
  switch (address.kind) {
    case 'websocket':
      return address.url
    case 'unix':
      return `piko+unix:${address.path}`
    default: {
      const host = address.host.includes(':') ? `[${address.host}]` : address.host
      return `piko${address.kind === 'tls' ? '+tls' : ''}://${host}:${address.port}`
    }
  }
}
