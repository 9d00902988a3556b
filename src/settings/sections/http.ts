import { flag, integer, text } from '../setting-types.ts'

/** The server for health, metrics and the graph of services. */
export const http = {
  enabled: flag({ key: 'enabled', default: true, help: 'Serve health, metrics and the graph of services.' }),
  host: text({
    key: 'host',
    default: '127.0.0.1',
    help: 'Address to listen on; "0.0.0.0" for every interface.',
  }),
  /** 0: any free port. */
  port: integer({
    key: 'port',
    default: 9464,
    min: 0,
    max: 65_535,
    help: 'Port to listen on; 0: any free one.',
  }),
}
