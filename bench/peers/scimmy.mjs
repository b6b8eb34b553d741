// scimmy behind its own Express routers, with maps as storage: what its documentation calls the ingress, egress and
// degress handlers. Run as `node scimmy.mjs PORT` in a folder with scimmy, scimmy-routers and express.
import {randomUUID} from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const {User, Group} = SCIMMY.Resources;

function serve(type) {
    const kept = new Map();
    SCIMMY.Resources.declare(type)
        .ingress(async (resource, data) => {
            const now = new Date();
            const old = resource.id === undefined ? undefined : kept.get(resource.id);
            if (resource.id !== undefined && old === undefined) throw new SCIMMY.Types.Error(404, null, "Not found.");
            const id = resource.id ?? randomUUID();
            const plain = JSON.parse(JSON.stringify(data));
            const meta = {resourceType: type.name, created: old?.meta.created ?? now, lastModified: now};
            const row = {...plain, id, meta};
            kept.set(id, row);
            return row;
        })
        .egress(async (resource) => {
            if (resource.id !== undefined) {
                const found = kept.get(resource.id);
                if (found === undefined) throw new SCIMMY.Types.Error(404, null, "Not found.");
                return found;
            }
            const everything = [...kept.values()];
            return resource.filter === undefined ? everything : resource.filter.match(everything);
        })
        .degress(async (resource) => {
            kept.delete(resource.id);
        });
}

serve(User);
serve(Group);
const app = express();
app.use("/scim/v2", new SCIMMYRouters({type: "bearer", handler: () => "bench"}));
app.listen(Number(process.argv[2]), "127.0.0.1");
