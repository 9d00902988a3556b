import { isIP } from 'node:net'

const LINK =
  '_(?:(SERVICE_HOST)|(SERVICE_PORT(?:_[A-Z0-9_]+)?)|PORT(?:_(\\d+)_(TCP|UDP|SCTP)(?:_(ADDR|PORT|PROTO))?)?)$'
/** A Kubernetes Service may be named piko-service or piko-port-80-tcp. So both the shortest and the longest possible name are tried. */
const NAMES = [new RegExp(`^PIKO(?:_[A-Z0-9_]*?)??${LINK}`), new RegExp(`^PIKO(?:_[A-Z0-9_]*)?${LINK}`)]
const URL_VALUE = /^(tcp|udp|sctp):\/\/(?:\[([\da-f:.]+)\]|([\da-f:.]+)):(\d+)$/i

/**
 * Whether Kubernetes (or a legacy Docker link) has set this variable for a Service whose name begins with "piko": `PIKO_SERVICE_HOST`,
 * `PIKO_PORT=tcp://10.0.0.7:80`, `PIKO_WEB_PORT_80_TCP_ADDR`. The value must also look like one of Kubernetes, so that a mistyped setting
 * is still reported.
 */
export function isServiceLink(name: string, value: string): boolean {
  return NAMES.some((pattern) => isLinkBy(pattern.exec(name), value))
}

function isLinkBy(match: RegExpExecArray | null, value: string): boolean {
  if (!match) return false
  const [, host, servicePort, port, protocol, part] = match
  if (host !== undefined) return isIP(value) !== 0
  if (servicePort !== undefined) return isPort(value)
  switch (part) {
    case 'ADDR':
      return isIP(value) !== 0
    case 'PORT':
      return isPort(value) && value === port
    case 'PROTO':
      return value === protocol?.toLowerCase()
    default:
      return isAddress(value, port, protocol)
  }
}

function isAddress(value: string, port: string | undefined, protocol: string | undefined): boolean {
  const [, scheme, bracketed, bare = '', number = ''] = URL_VALUE.exec(value) ?? []
  if (scheme === undefined || isIP(bracketed ?? bare) === 0 || !isPort(number)) return false
  return port === undefined || (port === number && protocol === scheme.toUpperCase())
}

function isPort(value: string): boolean {
  return /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535
}
