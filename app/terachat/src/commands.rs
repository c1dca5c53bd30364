//! What each verb does: ask the profile, show the answer.
mod archive;
mod ask;
mod attachment;
mod audit;
mod board;
mod bundle;
mod cards;
mod check_beside;
mod cluster;
mod file;
mod import;
mod init;
mod keys;
mod listen;
mod node;
mod pages;
mod place;
mod post;
mod read;
mod store;
mod sync;
mod tell;
mod vault;

use crate::args::{
    BoardArgs, CardCommand, CategoryCommand, ChannelCommand, Cli, Command, DeviceCommand, Global,
    MemberCommand, RoleCommand, SpaceCommand, SuiteName,
};
use crate::board::Turn;
use crate::demo;
use crate::failure::Result;
use crate::home::Home;
use crate::printer::Printer;
use terachat_client::api::{Arrangement, Request, Selection};

/// Does what the command line says.
///
/// # Errors
/// [`crate::failure::Failure`], to be shown by the caller.
pub(crate) fn run(cli: Cli, printer: &Printer) -> Result<()> {
    let Cli { global, command } = cli;
    match command {
        Command::Demo(args) => demo::run(&args, printer),
        Command::Completions { shell } => pages::completions(shell, printer),
        Command::Man { out } => pages::man(&out, printer),
        Command::Vault(args) => vault::run(*args, &global, printer),
        Command::Node(args) => node::run(*args, &global, printer),
        Command::Cluster(args) => cluster::run(*args, &global, printer),
        command => on_home(&Home::find(&global)?, &global, command, printer),
    }
}

fn channel(space: Option<String>, command: ChannelCommand) -> Request {
    let change = match command {
        ChannelCommand::List { .. } => return Request::Status,
        ChannelCommand::Create { name, forum, history } => {
            let since_join = history == "since-join";
            return Request::ChannelCreate { space, name, forum, since_join };
        }
        ChannelCommand::Keep { channels, only, all } => {
            let change = match (all, only) {
                (true, _) => Selection::All,
                (_, true) => Selection::Only { channels },
                _ => Selection::Also { channels },
            };
            return Request::ChannelsKeep { space, change };
        }
        ChannelCommand::Newest { channels } => {
            return Request::ChannelsKeep { space, change: Selection::Newest { channels } };
        }
        ChannelCommand::LeaveOut { channels } => {
            return Request::ChannelsKeep { space, change: Selection::LeaveOut { channels } };
        }
        ChannelCommand::Drop { channel, last_copy } => {
            return Request::ChannelDrop { space, channel, last_copy };
        }
        ChannelCommand::Rename { channel, name } => Arrangement::RenameChannel { channel, name },
        ChannelCommand::Topic { channel, topic } => Arrangement::Topic { channel, topic },
        ChannelCommand::Place { channel, category, after } => Arrangement::Place { channel, category, after },
    };
    Request::Arrange { space, change }
}

fn on_home(home: &Home, global: &Global, command: Command, printer: &Printer) -> Result<()> {
    let place = global.place();
    let space = place.space.clone();
    let request = match command {
        Command::Keys(command) => return keys::run(home, &command, printer),
        Command::Init { name } => return init::run(home, &name, printer),
        Command::Send(args) => return post::run(home, place, args, printer),
        Command::Attachment(command) => return attachment::run(home, place, command, printer),
        Command::Read(args) => return read::run(home, place, args, printer),
        Command::Import(args) => return import::run(home, place, &args, printer),
        Command::Archive(command) => return archive::run(home, place, command, printer),
        Command::Audit(args) => return audit::run(home, space, &args, printer),
        Command::Store(command) => return store::run(home, command, printer),
        Command::Listen(args) => return listen::run(home, args, printer),
        Command::Sync(args) => return sync::run(home, args, printer),
        Command::Board(command) => return board::run(home, &command, printer),
        Command::Card(CardCommand::Publish { board, post_quantum }) => {
            return board::offer(home, &board, post_quantum, printer);
        }
        Command::Card(CardCommand::Status) => Request::CardStatus,
        Command::Card(CardCommand::Withdraw) => Request::CardWithdraw,
        Command::Invite { person: Some(person), folder, order, rank, .. } => {
            let board = BoardArgs { folder, cluster: order.cluster, cluster_key: order.cluster_key };
            return board::invite(home, &board, Turn::Invite { space, person, rank }, printer);
        }
        Command::Bundle(command) => return bundle::run(home, space, command, printer),
        Command::Member(MemberCommand::List) => return ask::members(home, space, printer),
        Command::Whoami { post_quantum } => Request::WhoAmI { post_quantum },
        Command::Status => Request::Status,
        Command::Space(SpaceCommand::Create { name, post_quantum }) => {
            Request::SpaceCreate { name, post_quantum }
        }
        Command::Space(SpaceCommand::Rename { name }) => {
            Request::Arrange { space, change: Arrangement::RenameSpace { name } }
        }
        Command::Space(SpaceCommand::Renew { order }) => {
            return board::run_in_order(home, &order, Request::Renew { space }, printer);
        }
        Command::Space(SpaceCommand::Reinit { suite, now, order }) => {
            let request = Request::Reinit { space, post_quantum: suite == SuiteName::PostQuantum, now };
            return board::run_in_order(home, &order, request, printer);
        }
        Command::Space(SpaceCommand::Renewal { days, messages }) => {
            Request::Renewal { space, days, messages }
        }
        Command::Space(SpaceCommand::Rejoin) => Request::Rejoin { space },
        Command::Channel(ChannelCommand::List { kept }) => return ask::channels(home, space, kept, printer),
        Command::Channel(command) => channel(space, command),
        Command::Category(CategoryCommand::Create { name }) => {
            Request::Arrange { space, change: Arrangement::CreateCategory { name } }
        }
        Command::Category(CategoryCommand::Rename { category, name }) => {
            Request::Arrange { space, change: Arrangement::RenameCategory { category, name } }
        }
        Command::Invite { card, cards, rank, order, .. } => {
            let request = match card {
                Some(card) => Request::Invite { space, card, rank },
                None => Request::InviteAll { space, cards: cards::read(cards.as_deref())?, rank },
            };
            return board::run_in_order(home, &order, request, printer);
        }
        Command::Join { invitation } => Request::Join { invitation },
        Command::Member(MemberCommand::Remove { member, order }) => {
            return board::run_in_order(home, &order, Request::MemberRemove { space, member }, printer);
        }
        Command::Device(DeviceCommand::List { member }) => Request::DeviceList { space, member },
        Command::Device(DeviceCommand::Add { card, order }) => {
            return board::run_in_order(home, &order, Request::DeviceAdd { card }, printer);
        }
        Command::Device(DeviceCommand::Revoke { device, order }) => {
            return board::run_in_order(home, &order, Request::DeviceRevoke { device }, printer);
        }
        Command::Role(RoleCommand::Show) => Request::Roles { space },
        Command::Role(RoleCommand::Set { member, rank }) => Request::RoleSet { space, member, rank },
        Command::Role(RoleCommand::Give { role, permissions }) => {
            Request::RoleChange { space, rank: role, give: permissions, take: Vec::new() }
        }
        Command::Role(RoleCommand::Take { role, permissions }) => {
            Request::RoleChange { space, rank: role, give: Vec::new(), take: permissions }
        }
        Command::Forum { tags, after, limit } => {
            Request::Forum { place, tags, after, limit: ask::count(limit) }
        }
        Command::Retitle { message, title, tags } => Request::Retitle { place, message, title, tags },
        Command::Mark { message } => Request::Mark { place, message },
        Command::Reply { message, body } => {
            Request::Send { place, body: ask::body(body)?, reply_to: Some(message) }
        }
        Command::Edit { message, body } => Request::Edit { place, message, body: ask::body(body)? },
        Command::Delete { message } => Request::Delete { place, message },
        Command::React { message, emoji, remove } => Request::React { place, message, emoji, remove },
        Command::Pin { message, remove } => Request::Pin { place, message, remove },
        Command::Search { query, at, limit } => {
            ask::at(at, Request::Search { place, query, limit: ask::count(limit) })
        }
        Command::Log { why: Some(event), .. } => Request::Why { place, event },
        Command::Log { at, limit, .. } => ask::at(at, Request::Log { place, limit: ask::count(limit) }),
        Command::Demo(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Vault(_)
        | Command::Node(_)
        | Command::Cluster(_) => {
            return Ok(());
        }
    };
    ask::run(home, request, printer)
}
