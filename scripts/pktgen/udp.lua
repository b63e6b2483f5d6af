-- pktgen-dpdk: UDP datagrams in frames of 64 bytes from many clients, for conf/bench.yaml; ends after a minute.
--
-- pktgen -l 4-5 -n 4 -a 0000:3b:00.1 -- -P -m "5.0" -f scripts/pktgen/udp.lua
-- PORT=9999 in the environment sends to a port without a service; RATE is a percentage of the line; MAC is Millrace's.

package.path = package.path .. ";?.lua;test/?.lua;app/?.lua;"
require "Pktgen"

local ports = "0"
local seconds = 60
local to = tonumber(os.getenv("PORT") or "7")
local rate = tonumber(os.getenv("RATE") or "100")
local mac = os.getenv("MAC")

if mac == nil then
    print("set MAC to the Ethernet address of Millrace's port (millctl show ports)")
    return
end

pktgen.stop(ports)
pktgen.clear("all")
pktgen.set_mac(ports, "dst", mac)
pktgen.set(ports, "size", 64)
pktgen.set(ports, "rate", rate)
pktgen.set(ports, "count", 0)
pktgen.set_type(ports, "ipv4")
pktgen.set_proto(ports, "udp")

-- start, smallest, largest, step
pktgen.dst_mac(ports, "start", mac)
pktgen.dst_ip(ports, "start", "10.80.0.1")
pktgen.dst_ip(ports, "min", "10.80.0.1")
pktgen.dst_ip(ports, "max", "10.80.0.1")
pktgen.dst_ip(ports, "inc", "0.0.0.0")
pktgen.src_ip(ports, "start", "10.80.16.1")
pktgen.src_ip(ports, "min", "10.80.16.1")
pktgen.src_ip(ports, "max", "10.80.31.254")
pktgen.src_ip(ports, "inc", "0.0.0.1")
pktgen.src_port(ports, "start", 1024)
pktgen.src_port(ports, "min", 1024)
pktgen.src_port(ports, "max", 2047)
pktgen.src_port(ports, "inc", 1)
pktgen.dst_port(ports, "start", to)
pktgen.dst_port(ports, "min", to)
pktgen.dst_port(ports, "max", to)
pktgen.dst_port(ports, "inc", 0)
pktgen.ip_proto(ports, "udp")
pktgen.pkt_size(ports, "start", 64)
pktgen.pkt_size(ports, "inc", 0)
pktgen.set_range(ports, "on")

pktgen.start(ports)
for second = 1, seconds do
    pktgen.delay(1000)
    local moved = pktgen.rateStats(ports)[0]
    print(string.format("%2d s   sent %d/s   came back %d/s", second, moved.pkts_tx, moved.pkts_rx))
end
pktgen.stop(ports)
pktgen.quit()
