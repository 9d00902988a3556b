import { flag, integer, list, optionalText, text } from '../setting-types.ts'

/** The server for the API, health, metrics and the graph of services. */
export const http = {
  enabled: flag({
    key: 'enabled',
    default: true,
    help: 'Serve the API, the dashboard, health, metrics and the graph of services.',
  }),
  host: text({
    key: 'host',
    default: '127.0.0.1',
    help: 'Address to listen on; "0.0.0.0" for every interface, which needs tokens (docs/access.md).',
  }),
  /** The port; 0: any free port. */
  port: integer({
    key: 'port',
    default: 9464,
    min: 0,
    max: 65_535,
    help: 'Port to listen on; 0: any free one.',
  }),
  api: flag({
    key: 'api',
    default: true,
    help: 'Serve the API and the dashboard; false: only health, metrics and the graph.',
  }),
  requireToken: flag({
    key: 'require_token',
    default: false,
    help: 'Require a token for requests from this machine too. Set this if a proxy runs on the same machine.',
  }),
  trustForwarded: flag({
    key: 'trust_forwarded',
    default: false,
    help: 'Treat requests that a proxy on this machine forwards as requests from this machine, which need no token.',
  }),
  tokensFile: optionalText({
    key: 'tokens_file',
    help: 'File with further tokens, in the form that docs/access.md shows; empty: none.',
  }),
  hosts: list({
    key: 'hosts',
    default: [],
    help: 'Host names under which clients reach the API, apart from IP addresses and the name of this machine.',
  }),
  tlsKey: optionalText({ key: 'tls_key', help: 'File with the private key for HTTPS, in PEM form; empty: HTTP.' }),
  tlsCert: optionalText({ key: 'tls_cert', help: 'File with the certificate of that key and its chain.' }),
  plain: flag({
    key: 'plain',
    default: false,
    help: 'Serve the API without TLS on an address that other machines reach, because a proxy or the network encrypts the traffic.',
  }),
  /** How many requests one token may send per minute; 0: any number. */
  rateLimit: integer({
    key: 'rate_limit',
    default: 3_000,
    min: 0,
    max: 10_000_000,
    help: 'Maximum number of API requests with one token in a minute; 0: any number.',
  }),
  /** The maximum size of a request's body, in bytes. */
  bodyLimit: integer({
    key: 'body_limit',
    default: 2_000_000,
    min: 1_000,
    max: 100_000_000,
    help: 'Largest body of an API request, in bytes.',
  }),
}
