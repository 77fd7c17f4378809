// The picture of the system: storage, the back office, and the groups of microservices behind one gateway.
var builder = DistributedApplication.CreateBuilder(args);

var postgres = builder.AddPostgres("postgres").WithDataVolume();
var redis = builder.AddRedis("redis").WithDataVolume();
// Seals private keys and credentials in the database; made once and kept where the passwords of the servers above are.
var keysSecret = builder.AddParameter("keys-secret", new GenerateParameterDefault { MinLength = 44, Special = false }, secret: true, persist: true);
var wmsdb = postgres.AddDatabase("wmsdb");
var mobiledb = postgres.AddDatabase("mobiledb");
var frontenddb = postgres.AddDatabase("frontenddb");
var integrationdb = postgres.AddDatabase("integrationdb");

string[] backOffice = ["crm", "erp", "pim", "wms"];
string[] integrationServices = ["customers", "products", "orders", "inventory", "commands", "changes"];
string[] mobileServices = ["devices", "configuration", "push", "sync", "analytics"];
string[] frontendServices = ["home", "catalog", "app-orders", "account"];

// One process a group, or one a microservice: with Topology=split, or when a part of the system that has one of them by name is to start.
string[] only = builder.Configuration["only"]?.Split(',', StringSplitOptions.TrimEntries) ?? [];
bool split = builder.Configuration["Topology"] == "split"
    || only.Intersect([.. backOffice, .. integrationServices, .. mobileServices, .. frontendServices, "identity"], StringComparer.OrdinalIgnoreCase).Any();
var addresses = new Dictionary<string, EndpointReference>();
var services = new List<IResourceBuilder<ProjectResource>>();

// Tokens come from the system's own identity provider, or from the organisation's.
var authority = builder.Configuration["Authentication:Authority"] is { Length: > 0 } external ? external : null;

// The organisation's own systems. The warehouse is reached through its database and a folder of files, as such systems are.
Group<Projects.BackendSystems>("backends", backOffice, [postgres.AddDatabase("backenddb"), wmsdb], backend => backend
    .WithEnvironment("Wms__DropFolder", builder.Configuration["DropFolder"])
    .WithEnvironment("Webhooks__AllowPrivateTargets", "true") // they lead to the integration services and no further
    .WithFaultCommands(split ? [backend.Resource.Name] : backOffice));

Group<Projects.IntegrationServices>("integration", integrationServices, [wmsdb, integrationdb], integration => integration
    .WithReference(redis)
    .WithEnvironment("Changes__Address", "http://changes")
    .WithEnvironment("Changes__DropFolder", builder.Configuration["DropFolder"]));
Group<Projects.MobileServices>("mobile", [.. mobileServices, .. authority is null ? ["identity"] : Array.Empty<string>()], [mobiledb, integrationdb],
    mobile => mobile.WithReference(redis).WaitFor(redis));
Group<Projects.FrontendServices>("frontend", frontendServices, [frontenddb], frontend => frontend.WithReference(redis).WaitFor(redis));

var gateway = builder.AddProject<Projects.Gateway>("gateway", launchProfileName: null)
    .WithHttpEndpoint()
    .WithExternalHttpEndpoints()
    .WithHttpEndpoint(name: "management", env: "Management__Port")
    .WithHttpHealthCheck("/health", endpointName: "management")
    .WithReplicas(2)
    .WithReference(redis)
    .WithReference(mobiledb).WaitForStart(postgres)
    .WithUrlForEndpoint("http", url => url.DisplayText = "Mobile API");
services.Add(gateway);

// Every service finds every other by name, whichever process runs it.
foreach (var service in services)
{
    foreach (var (name, address) in addresses)
    {
        service.WithEnvironment($"services__{name}__http__0", address);
    }
}

// Whose tokens they take. The back office knows of none.
foreach (var service in services.Where(service => service.Resource.Name is not "backends" && !backOffice.Contains(service.Resource.Name)))
{
    if (authority is null)
    {
        // What tokens name as their issuer is where apps find it: behind the gateway. Services need not go out and in again.
        service
            .WithEnvironment("Authentication__Authority", $"{gateway.GetEndpoint("http")}/identity")
            .WithEnvironment("Authentication__InternalAddress", "http://identity/identity");
        continue;
    }
    foreach (var setting in builder.Configuration.GetSection("Authentication").GetChildren().SelectMany(one => one.GetChildren().Prepend(one)))
    {
        if (setting.Value is { Length: > 0 } value)
        {
            service.WithEnvironment(setting.Path.Replace(":", "__"), value);
        }
    }
}

foreach (var mobile in services.Where(service => authority is null && service.Resource.Name is "mobile" or "identity"))
{
    mobile.WithEnvironment("Identity__Issuer", $"{gateway.GetEndpoint("http")}/identity");
}

foreach (var mobile in services.Where(service => service.Resource.Name is "mobile" or "devices" or "identity" or "push"))
{
    mobile.WithEnvironment("Keys__Secret", keysSecret);
}

foreach (var mobile in services.Where(service => service.Resource.Name is "mobile" or "push"))
{
    // What senders anywhere know of the push service of our own is behind the gateway.
    mobile.WithEnvironment("Push__OwnAddress", gateway.GetEndpoint("http"));
}

var client = builder.Configuration.GetSection("Sync:Integration");

// A user's database "orders" in sync shows his orders of the Erp. Sync hands changes over after their users' tokens have ended, as a client of its own.
foreach (var mobile in services.Where(service => service.Resource.Name is "mobile" or "sync" && (authority is null || client["ClientId"] is not null)))
{
    mobile
        .WithEnvironment("Sync__Bound__orders__Source", "orders")
        .WithEnvironment("Sync__Integration__TokenAddress", client["TokenAddress"] ?? "http://identity/identity/connect/token")
        .WithEnvironment("Sync__Integration__ClientId", client["ClientId"] ?? "development-back-office")
        .WithEnvironment("Sync__Integration__ClientSecret", client["ClientSecret"] ?? "development-only-not-a-secret");
}

builder.Build().Run();

void Group<TProject>(
    string group, string[] microservices, IResourceBuilder<PostgresDatabaseResource>[] databases, Action<IResourceBuilder<ProjectResource>>? more = null)
    where TProject : IProjectMetadata, new()
{
    foreach (var process in split ? microservices : [group])
    {
        var service = builder.AddProject<TProject>(process, launchProfileName: null)
            .WithHttpEndpoint()
            .WithHttpHealthCheck("/health");

        foreach (var database in databases)
        {
            service.WithReference(database).WaitFor(database);
        }

        if (split)
        {
            service.WithEnvironment("Run", process);
        }

        foreach (var microservice in split ? [process] : microservices)
        {
            addresses[microservice] = service.GetEndpoint("http");
        }

        more?.Invoke(service);
        services.Add(service);
    }
}
