import { lookup as systemLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** The IPv4 networks that don't belong to the public internet (IANA's registry of special-purpose addresses). */
const SPECIAL_V4 = networks('ipv4', [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // Virtual machines in Azure reach its platform services at this address.
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
])
const PUBLIC_V6 = networks('ipv6', [['2000::', 3]])
const SPECIAL_V6 = networks('ipv6', [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
])

function networks(family: 'ipv4' | 'ipv6', list: readonly (readonly [network: string, prefix: number])[]): BlockList {
  const made = new BlockList()
  for (const [network, prefix] of list) made.addSubnet(network, prefix, family)
  return made
}

/**
 * Whether an IP address belongs to the public internet. An IPv6 address that contains an IPv4 address (mapped, NAT64, 6to4) is public if
 * that IPv4 address is. Pure.
 */
export function isPublicAddress(address: string): boolean {
  const plain = address.replace(/%.*$/, '')
  const family = isIP(plain)
  if (family === 4) return !SPECIAL_V4.check(plain, 'ipv4')
  if (family !== 6) return false
  const groups = groupsOf(plain)
  const inner = innerV4(groups)
  if (inner !== undefined) return isPublicAddress(inner)
  return PUBLIC_V6.check(plain, 'ipv6') && !SPECIAL_V6.check(plain, 'ipv6')
}

/** Returns the eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL parser also converts the dotted form of the last two groups.
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = text.split('::')
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const first = read(head)
  if (tail === undefined) return first
  const last = read(tail)
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last]
}

/** `::a.b.c.d`, `::ffff:a.b.c.d`, `::ffff:0:a.b.c.d` and NAT64's `64:ff9b::a.b.c.d`, by their first six groups. */
const WITH_V4: ReadonlySet<string> = new Set(['0,0,0,0,0,0', '0,0,0,0,0,65535', '0,0,0,0,65535,0', '100,65435,0,0,0,0'])

function innerV4(groups: readonly number[]): string | undefined {
  if (WITH_V4.has(groups.slice(0, 6).join())) return dotted(groups.slice(6))
  // An address of 6to4 (`2002::/16`) contains an IPv4 address.
  return groups[0] === 0x2002 ? dotted(groups.slice(1, 3)) : undefined
}

function dotted(groups: readonly number[]): string {
  return groups.flatMap((group) => [group >> 8, group & 255]).join('.')
}

/** The error of a connection to an address that is not public. */
export class AddressRefused extends Error {
  constructor(what: string) {
    super(`${what}; set limits.private if the crawl may load it`)
  }
}

/** Returns the host of a URL if it is an IP address, otherwise undefined. */
export function addressOf({ hostname }: URL): string | undefined {
  const plain = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  return isIP(plain) === 0 ? undefined : plain
}

/**
 * Resolves names to public addresses only. The socket connects to exactly these addresses, so a later answer of the name server can't
 * replace them. Calls back with AddressRefused if a name has no public address.
 */
export function publicLookup(resolve: LookupFunction = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, answer) => {
      if (error) return callback(error, '')
      const found = Array.isArray(answer) ? answer : [{ address: answer, family: isIP(answer) }]
      const allowed = found.filter(({ address }) => isPublicAddress(address))
      const [first] = allowed
      if (!first) {
        const shown = found.map(({ address }) => address).join(', ')
        return callback(new AddressRefused(`${hostname} has the private address ${shown}`), '')
      }
      if (options.all === true) return callback(null, allowed)
      return callback(null, first.address, first.family)
    })
  }
}
