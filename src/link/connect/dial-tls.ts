import type { ConnectionOptions } from 'node:tls'

/** The options of Node's `tls.connect` for a link: `ca`, `cert`, `key`, `servername` and others. */
export type DialTls = Omit<ConnectionOptions, 'host' | 'port' | 'path' | 'socket'>
