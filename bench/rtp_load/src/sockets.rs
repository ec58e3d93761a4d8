//! Connected UDP sockets and an epoll set.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{epoll, Timespec};

pub struct Endpoint {
    socket: UdpSocket,
    pub payload_type: u8,
}

impl Endpoint {
    pub fn parse(line: &str) -> Result<Self, String> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [local, address, port, payload_type] = fields[..] else {
            return Err("expected LOCAL_PORT REMOTE_ADDRESS REMOTE_PORT PAYLOAD_TYPE".into());
        };
        let address: IpAddr = address.parse().map_err(|e| format!("{address}: {e}"))?;
        if !address.is_loopback() {
            return Err(format!("{address} is not a loopback address"));
        }
        let number = |text: &str| text.parse::<u16>().map_err(|e| format!("{text}: {e}"));
        let socket =
            UdpSocket::bind(SocketAddr::new(address, number(local)?)).map_err(|e| e.to_string())?;
        socket
            .connect(SocketAddr::new(address, number(port)?))
            .map_err(|e| e.to_string())?;
        socket.set_nonblocking(true).map_err(|e| e.to_string())?;
        Ok(Self {
            socket,
            payload_type: number(payload_type)? as u8 & 0x7f,
        })
    }

    pub fn send(&self, packet: &[u8]) -> bool {
        self.socket.send(packet).is_ok()
    }

    /// Everything that waits.
    pub fn drain(&self, mut packet: impl FnMut(&[u8])) {
        let mut buffer = [0u8; 2048];
        // Ends when nothing waits; an ICMP error is read like a packet and waits no more.
        while let Ok(length) = self.socket.recv(&mut buffer) {
            packet(&buffer[..length]);
        }
    }
}

pub struct Poller(OwnedFd);

impl Poller {
    pub fn new(endpoints: &[Endpoint]) -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, endpoint) in endpoints.iter().enumerate() {
            let token = epoll::EventData::new_u64(index as u64);
            epoll::add(&set, &endpoint.socket, token, epoll::EventFlags::IN)?;
        }
        Ok(Self(set))
    }

    /// Calls `ready` with the index of each endpoint that has something.
    pub fn wait(&self, timeout: Duration, mut ready: impl FnMut(usize)) {
        let limit = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let mut space = [const { MaybeUninit::<epoll::Event>::uninit() }; 256];
        if let Ok((events, _)) = epoll::wait(&self.0, &mut space, Some(&limit)) {
            for event in events.iter() {
                ready(event.data.u64() as usize);
            }
        }
    }
}
