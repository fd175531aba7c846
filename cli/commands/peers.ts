import { withConnection } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { table } from '../output.js'
import type { CommandTable } from '../program.js'

/** `manyhands peers`: who is out there, as far as this node sees. */
export function definePeers(commands: CommandTable): void {
  commands
    .add('peers', 'list the peers that are seen from here', async (context) =>
      withConnection(context, async ({ process }) => {
        await process.overlay.lookup(process.identity.nodeId as string as Parameters<typeof process.overlay.lookup>[0])
        const peers = process.overlay.contacts().map((contact) => {
          const { nodeId, address } = process.overlay.endpoint(contact)
          return { nodeId, address, eligible: contact.eligible }
        })
        context.output.answer(
          peers.length === 0
            ? 'no peers'
            : table(
                ['PEER', 'ADDRESS', 'MAY OWN JOBS'],
                peers.map(({ nodeId, address, eligible }) => [nodeId, address, eligible ? 'yes' : 'not yet']),
              ),
          { peers },
        )
        return EXIT.ok
      }),
    )
    .addHelpText('after', '\nExample:\n  manyhands peers --join HOST')
}
