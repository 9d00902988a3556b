import { optionalSecret, optionalText, tcpAddress } from '../setting-types.ts'

/** The connections between the nodes of a fleet. */
export const link = {
  /** The address for links: `auto`, `off` or `host:port`. */
  listen: tcpAddress({
    key: 'listen',
    default: 'auto',
    help: 'Address at which other nodes reach this one, such as "10.0.0.5:9466"; auto: this machine only, any free port; off: no links, only datagrams and polls.',
  }),
  secret: optionalSecret({
    key: 'secret',
    help: 'Secret of at least 16 characters that all nodes have; empty: a new secret for each start, stored in the row of the node. Needed for an address that other machines reach.',
  }),
  tlsKey: optionalText({
    key: 'tls_key',
    help: 'File with the private key of this node, in PEM form. Needed for an address that other machines reach.',
  }),
  tlsCert: optionalText({ key: 'tls_cert', help: 'File with the certificate of that key and its chain.' }),
  tlsCa: optionalText({
    key: 'tls_ca',
    help: 'File with the certificates that this node trusts when it connects to others; empty: those of Node.js.',
  }),
  attach: optionalText({
    key: 'attach',
    help: 'Path of a Unix socket for "piko attach", which only this user can open; empty: none.',
  }),
}
