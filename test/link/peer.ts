import { listen } from 'piko/link'
import { peerRoutes } from './peer-routes.ts'

// A process that serves a link: prints its address, and ends with its standard input.
const nothing = (): void => {}
const log = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }
const server = listen({ port: 0, routes: [peerRoutes()], log })
await server.start()
console.log(server.url)
process.stdin.resume().on('end', () => void server.stop())
